/** Discovery on etcd leaves no connection and no timer behind; Deno's sanitizers look. */
import assert from "node:assert/strict";
import { ENDPOINT, makeView, openOverHttp, serveEtcd } from "../support/etcd_rig.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { FakeEtcd } from "../support/fake_etcd.ts";
import { eventually } from "../support/worker_rig.ts";

Deno.test("discovery that was used, with a watch that was not disposed", async () => {
  const etcd = new FakeEtcd(new FakeClock());
  await using server = await serveEtcd(etcd);
  await using discovery = await openOverHttp(server.origin);
  const view = makeView();
  await discovery.watch("v1/instances", view.report);
  await discovery.put(ENDPOINT, "1");
  await eventually("the record", () => view.records.size === 1);
});

Deno.test("discovery whose stream broke off", async () => {
  const etcd = new FakeEtcd(new FakeClock());
  await using server = await serveEtcd(etcd);
  await using discovery = await openOverHttp(server.origin);
  await discovery.watch("v1/instances", () => {});
  await eventually("the stream", () => etcd.streams === 1);
  etcd.cutStreams();
});

Deno.test("discovery whose etcd is gone", async () => {
  const etcd = new FakeEtcd(new FakeClock());
  const server = await serveEtcd(etcd);
  await using discovery = await openOverHttp(server.origin);
  await discovery.watch("v1/instances", () => {});
  await server[Symbol.asyncDispose]();
  await assert.rejects(openOverHttp(server.origin), { kind: "CannotConnect" });
});
