/** Discovery on etcd over real HTTP connections. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ENDPOINT, makeView, openOverHttp, serveEtcd } from "../support/etcd_rig.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { FakeEtcd } from "../support/fake_etcd.ts";
import { eventually } from "../support/worker_rig.ts";

test("records and watches go over real connections, also when those break", async () => {
  const etcd = new FakeEtcd(new FakeClock());
  await using server = await serveEtcd(etcd);
  const view = makeView();
  {
    await using discovery = await openOverHttp(server.origin);
    await using _watch = await discovery.watch("v1/instances", view.report);
    await discovery.put(ENDPOINT, '{"text":"ü"}');
    await eventually("the record", () => view.records.get(ENDPOINT.path) === '{"text":"ü"}');
    etcd.cutStreams();
    etcd.write("v1/instances/other", "1");
    await eventually("the other", () => view.records.has("other"));
    assert.deepEqual(etcd.leases, [discovery.instanceId]);
  }
  assert.deepEqual([etcd.leases, etcd.keys], [[], ["v1/instances/other"]]);
  await eventually("the stream to end", () => etcd.streams === 0);
});

test("nobody who listens, and a name that leads nowhere, are told in the same words everywhere", async () => {
  const server = await serveEtcd(new FakeEtcd(new FakeClock()));
  await server[Symbol.asyncDispose]();
  await assert.rejects(openOverHttp(server.origin), {
    kind: "CannotConnect",
    message: /: nothing listens there; start etcd there/,
  });
  await assert.rejects(openOverHttp("http://etcd.invalid:2379"), {
    message: /its name leads nowhere|nothing listens there/,
  });
});
