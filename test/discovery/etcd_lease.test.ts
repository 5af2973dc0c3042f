/** The lease: when it is renewed, what is done when that fails, and when it is lost. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { makeEtcdRig } from "../support/etcd_rig.ts";

const MEMBERS = ["http://a:2379", "http://b:2379"];

/** When the lease was renewed, or somebody tried. */
function watchRenewals({ etcd, clock }: ReturnType<typeof makeEtcdRig>): number[] {
  const times: number[] = [];
  const before = etcd.mishap;
  etcd.mishap = (call) => {
    if (call.path === "/v3/lease/keepalive") times.push(Math.round(clock.now()));
    return before(call);
  };
  return times;
}

test("it is renewed at half of the time it has left, and lives on", async () => {
  const rig = makeEtcdRig();
  await using discovery = await rig.open();
  const times = watchRenewals(rig);
  await rig.clock.advance(61_000);
  assert.deepEqual(times, [15_000, 30_000, 45_000, 60_000]);
  assert.deepEqual(rig.etcd.leases, [discovery.instanceId]);
});

test("its time is what etcd granted, not what was asked for", async () => {
  const rig = makeEtcdRig();
  rig.etcd.mishap = ({ path }) =>
    path !== "/v3/lease/grant"
      ? null
      : { status: 200, contentType: "application/json", body: '{"ID":"77","TTL":"60"}' };
  await using discovery = await rig.open();
  const times = watchRenewals(rig);
  await rig.clock.advance(31_000);
  assert.deepEqual([discovery.instanceId, times], [77n, [30_000]]);
});

test("a member that is gone is passed over at once", async () => {
  const rig = makeEtcdRig(MEMBERS);
  await using _discovery = await rig.open();
  rig.etcd.mishap = ({ origin }) => origin === MEMBERS[0] ? "refuse" : null;
  const times = watchRenewals(rig);
  await rig.clock.advance(31_000);
  assert.deepEqual(times, [15_000, 15_000, 30_000]);
  assert.deepEqual(rig.losses, []);
  assert.match(rig.lines.join("\n"), /Cannot renew the lease at etcd; trying on .*left_ms=15000/);
  assert.match(rig.lines.join("\n"), /renewed after all/);
});

test("an etcd that is away is asked at once, then with pauses; the lease is lost when its time is up, told once", async () => {
  const rig = makeEtcdRig();
  await using _discovery = await rig.open();
  rig.etcd.mishap = () => "refuse";
  const times = watchRenewals(rig);
  await rig.clock.advance(60_000);
  assert.deepEqual(times.slice(0, 6), [15_000, 15_000, 15_500, 16_500, 18_500, 22_500]);
  assert.ok(times.at(-1)! >= 30_000 && times.at(-1)! < 30_200, String(times.at(-1)));
  assert.equal(rig.losses.length, 1);
  assert.equal(rig.losses[0]!.kind, "Disconnected");
  assert.match(rig.losses[0]!.message, /could not be renewed for 30 s: http:\/\/a:2379: nothing listens there$/);
  assert.equal(rig.lines.filter((line) => line.includes("Cannot renew")).length, 1);
});

test("slow answers do not lose it while some come in time", async () => {
  const rig = makeEtcdRig(MEMBERS);
  await using _discovery = await rig.open();
  let calls = 0;
  rig.etcd.mishap = () => calls++ % 2 === 0 ? "hang" : null;
  await rig.clock.advance(300_000);
  assert.deepEqual(rig.losses, []);
  rig.etcd.mishap = () => null;
});

test("a lease that etcd does not know is lost at the next renewal, and nothing can be put any more", async () => {
  const rig = makeEtcdRig();
  await using discovery = await rig.open();
  const key = { bucket: "v1/instances", path: "a/b/c/1" } as const;
  await discovery.put(key, "{}");
  rig.etcd.revoke(discovery.instanceId);
  await rig.clock.advance(15_000);
  assert.match(
    rig.losses[0]!.message,
    /^Lost the lease \d+ at etcd, .*it expired, was revoked, or etcd lost its data$/,
  );
  await assert.rejects(discovery.put(key, "{}"), /the lease at etcd is lost/);
  rig.etcd.mishap = () => "refuse";
  await discovery.delete(key);
  await rig.clock.advance(120_000);
  assert.equal(rig.losses.length, 1);
});

test("it outlives a restart of etcd that keeps its data", async () => {
  const rig = makeEtcdRig();
  await using _discovery = await rig.open();
  await rig.clock.advance(14_000);
  rig.etcd.mishap = () => "refuse";
  await rig.clock.advance(10_000);
  rig.etcd.mishap = () => null;
  rig.etcd.restart();
  await rig.clock.advance(120_000);
  assert.deepEqual(rig.losses, []);
});

test("a process that was stopped asks before it believes the lease to be lost", async () => {
  const rig = makeEtcdRig();
  await using discovery = await rig.open();
  for (const ms of [25_000, 50_000]) {
    await rig.clock.pause(ms);
    await rig.clock.advance(30_000);
    assert.equal(rig.losses.length, 0);
  }
  rig.etcd.revoke(discovery.instanceId);
  await rig.clock.pause(50_000);
  await rig.clock.advance(1000);
  assert.match(rig.losses.map(({ message }) => message).join(), /does not know it any more/);
});
