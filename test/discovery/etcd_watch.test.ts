/** Watches: whatever happens to the stream, what was told ends up as what is there. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { DiscoveryEvent } from "../../src/discovery/discovery.ts";
import { makeEtcdRig, makeView } from "../support/etcd_rig.ts";

const MEMBERS = ["http://a:2379", "http://b:2379"];

test("only changes of the bucket are told, and none twice", async () => {
  const { etcd, clock, open } = makeEtcdRig();
  await using discovery = await open({ isReader: true });
  etcd.write("v1/mdc/a", "1");
  const events: DiscoveryEvent[] = [];
  await using _watch = await discovery.watch("v1/mdc", (event) => events.push(event));
  await clock.settle();
  for (const key of ["v1/mdc2/x", "v1/mdc", "v1/instances/x", "v1/mdc/a"]) etcd.write(key, "1");
  etcd.write("v1/mdc/b", "2");
  etcd.cutStreams();
  await clock.advance(1000);
  assert.deepEqual(events.map(({ kind, key }) => `${kind} ${key.path}`), ["put a", "put b"]);
});

test("a stream cut at any point loses nothing", async () => {
  const message = (event: object, revision: string) =>
    JSON.stringify({ result: { header: { revision }, events: [{ kv: { mod_revision: revision, ...event } }] } }) + "\n";
  const line = message({ key: btoa("v1/mdc/new"), value: btoa("then") }, "2");
  for (let length = 0; length <= line.length; length++) {
    const { etcd, clock, open } = makeEtcdRig();
    await using discovery = await open({ isReader: true });
    const view = makeView();
    await using _watch = await discovery.watch("v1/mdc", view.report);
    await clock.settle();
    etcd.cutStreams(line.slice(0, length));
    etcd.write("v1/mdc/new", "now");
    await clock.advance(300);
    etcd.write("v1/mdc/later", "2");
    await clock.settle();
    assert.deepEqual([...view.records].sort(), [["later", "2"], ["new", "now"]], `cut at ${length}`);
  }
});

test("what is repeated or out of date is passed over", async () => {
  const { etcd, clock, open } = makeEtcdRig();
  await using discovery = await open({ isReader: true });
  const events: DiscoveryEvent[] = [];
  await using _watch = await discovery.watch("v1/mdc", (event) => events.push(event));
  await clock.settle();
  etcd.write("v1/mdc/a", "1");
  etcd.remove("v1/mdc/a");
  await clock.settle();
  const old = { key: btoa("v1/mdc/a"), value: btoa("1"), mod_revision: "2" };
  etcd.sayToStreams({ result: { events: [{ kv: old }] } });
  await clock.settle();
  assert.deepEqual(events.map(({ kind }) => kind), ["put", "delete"]);
});

test("pauses double up to five seconds while etcd is away, what was seen stays in force, and it is told once", async () => {
  const { etcd, clock, open, lines } = makeEtcdRig();
  await using discovery = await open({ isReader: true });
  etcd.write("v1/mdc/a", "1");
  etcd.write("v1/mdc/b", "1");
  const view = makeView();
  await using _watch = await discovery.watch("v1/mdc", view.report);
  await clock.settle();
  const times: number[] = [];
  etcd.mishap = ({ path }) => {
    if (path === "/v3/kv/range") times.push(clock.now());
    return "refuse";
  };
  etcd.cutStreams();
  await clock.advance(20_000);
  assert.deepEqual(times, [250, 750, 1750, 3750, 7750, 12_750, 17_750]);
  assert.equal(view.records.size, 2);
  etcd.remove("v1/mdc/a");
  etcd.mishap = () => null;
  await clock.advance(5000);
  assert.deepEqual([...view.records.keys()], ["b"]);
  assert.equal(lines.filter((line) => line.includes("Lost sight")).length, 1);
  assert.equal(lines.filter((line) => line.includes("in sight again")).length, 1);
});

test("compaction and a store that begins anew are got over", async () => {
  const { etcd, clock, open } = makeEtcdRig();
  await using discovery = await open({ isReader: true });
  const view = makeView();
  etcd.mishap = ({ path }) => path === "/v3/watch" ? (etcd.write("v1/mdc/a", "1"), etcd.compact(), null) : null;
  await using _watch = await discovery.watch("v1/mdc", view.report);
  await clock.settle();
  etcd.mishap = () => null;
  await clock.advance(300);
  assert.deepEqual([...view.records], [["a", "1"]]);
  etcd.wipe();
  etcd.cutStreams();
  etcd.write("v1/mdc/b", "2");
  await clock.advance(300);
  assert.deepEqual([...view.records], [["b", "2"]]);
});

test("a stream whose member is silent, or without a leader, is opened elsewhere", async () => {
  for (const mishap of ["hang", "refuse", { status: 200, contentType: "application/json", body: "{}" }] as const) {
    const { etcd, clock, open, lines } = makeEtcdRig(MEMBERS);
    await using discovery = await open({ isReader: true });
    const view = makeView();
    await using _watch = await discovery.watch("v1/mdc", view.report);
    await clock.settle();
    assert.equal(etcd.streamsAt(MEMBERS[0]!), 1);
    etcd.mishap = ({ origin, path }) => origin === MEMBERS[0] && path === "/v3/maintenance/status" ? mishap : null;
    await clock.advance(26_000);
    assert.deepEqual([etcd.streamsAt(MEMBERS[0]!), etcd.streamsAt(MEMBERS[1]!)], [0, 1]);
    assert.match(lines.join("\n"), /Lost sight of discovery at etcd/);
  }
});

test("a watch that is disposed is silent and leaves no stream; one that cannot begin says why", async () => {
  const { etcd, clock, open } = makeEtcdRig();
  await using discovery = await open({ isReader: true });
  const view = makeView();
  const watch = await discovery.watch("v1/mdc", view.report);
  await clock.settle();
  await watch[Symbol.asyncDispose]();
  etcd.write("v1/mdc/a", "1");
  await clock.advance(1000);
  assert.deepEqual([view.records.size, etcd.streams, clock.pendingTimers], [0, 0, 0]);
  etcd.mishap = () => "refuse";
  const failed = assert.rejects(discovery.watch("v1/mdc", view.report), /nothing listens there/);
  await clock.advance(10_000);
  await failed;
});
