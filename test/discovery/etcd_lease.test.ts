/** The lease: when it is renewed, what is done when that fails, and when it is lost for good. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ENDPOINT, type EtcdRig, makeEtcdRig } from "../support/etcd_rig.ts";

const MEMBERS = ["http://a:2379", "http://b:2379"];
const FORBIDDEN = {
  status: 403,
  contentType: "application/json",
  body: '{"error":"etcdserver: permission denied","code":7}',
} as const;

/** The beginnings of what was warned of. */
function warnings({ lines }: EtcdRig): string[] {
  return lines.filter((line) => line.includes(" WARN ")).map((line) =>
    line.replace(/.* WARN /, "").replace(/; only.*| [a-z_]+=.*/, "")
  );
}

/** When the lease was renewed, or somebody tried. */
function watchRenewals({ etcd, clock }: EtcdRig): number[] {
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

test("an etcd that is away is asked at once, then with pauses of up to five seconds for as long as it takes", async () => {
  const rig = makeEtcdRig();
  await using discovery = await rig.open();
  rig.etcd.mishap = () => "refuse";
  const times = watchRenewals(rig);
  await rig.clock.advance(120_000);
  assert.deepEqual(times.slice(0, 6), [15_000, 15_000, 15_500, 16_500, 18_500, 22_500]);
  const afterwards = times.filter((time) => time >= 30_000);
  assert.deepEqual(
    afterwards.slice(2).map((time, i) => time - afterwards[i + 1]!),
    afterwards.slice(2).map(() => 5000),
  );
  assert.deepEqual(rig.losses, []);
  assert.deepEqual(warnings(rig), [
    "Cannot renew the lease at etcd; trying on",
    "Lost the lease at etcd, taking it again",
  ]);
  assert.match(rig.lines.join("\n"), /reason=.*could not be renewed for 30 s: http:\/\/a:2379: nothing listens there/);
  rig.etcd.mishap = () => null;
  await rig.clock.advance(5000);
  assert.deepEqual(rig.etcd.leases, [discovery.instanceId]);
});

test("pauses differ from worker to worker", async () => {
  const tries = async (number: number) => {
    const rig = makeEtcdRig();
    const platform = { clock: rig.clock, httpClients: rig.etcd, random: { number: () => number } };
    await using _discovery = await rig.open({ platform });
    rig.etcd.mishap = () => "refuse";
    const times = watchRenewals(rig);
    await rig.clock.advance(20_000);
    rig.etcd.mishap = () => null;
    return times.slice(1, 4);
  };
  assert.deepEqual(await tries(0), [15_000, 15_375, 16_125]);
  assert.deepEqual(await tries(1), [15_000, 15_625, 16_875]);
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

test("an etcd that comes and goes every three seconds, or takes two for an answer, costs a line every 30 at most", async () => {
  for (const mode of ["flapping", "slow"]) {
    const rig = makeEtcdRig(MEMBERS);
    await using discovery = await rig.open({ ttlSeconds: 10 });
    await using _watch = await discovery.watch("v1/instances", () => {});
    await discovery.put(ENDPOINT, "1");
    const { etcd, clock, losses, lines } = rig;
    if (mode === "slow") etcd.delayMs = 2000;
    for (let second = 0; second < 300; second++) {
      if (mode === "flapping" && second % 3 === 0) {
        etcd.mishap = () => second % 6 === 0 ? "refuse" : null;
        etcd.cutStreams();
      }
      await clock.advance(1000);
      assert.deepEqual([etcd.leases.length, etcd.keys.length], [1, 1], `${mode}, after ${second} s`);
    }
    etcd.mishap = () => null;
    etcd.delayMs = 0;
    assert.deepEqual(losses, []);
    for (const part of ["Cannot renew", "Lost sight"]) {
      assert.ok(lines.filter((line) => line.includes(part)).length <= 10, `${mode}: ${part}`);
    }
    assert.doesNotMatch(lines.join("\n"), /Lost the lease/);
    await clock.advance(5000);
  }
});

test("it is lost for good if etcd refuses it for as long as it would have lived", async () => {
  for (const isGone of [true, false]) {
    const rig = makeEtcdRig();
    await using discovery = await rig.open();
    await discovery.put(ENDPOINT, "{}");
    if (isGone) rig.etcd.revoke(discovery.instanceId);
    rig.etcd.mishap = ({ path }) => path === `/v3/lease/${isGone ? "grant" : "keepalive"}` ? FORBIDDEN : null;
    await rig.clock.advance(40_000);
    assert.equal(rig.losses.length, 0);
    await rig.clock.advance(20_000);
    assert.match(
      rig.losses[0]!.message,
      /^Lost the lease \d+ at etcd, .*: etcd keeps refusing it: .*permission denied/,
    );
    await assert.rejects(discovery.put(ENDPOINT, "{}"), /the lease at etcd is lost/);
    rig.etcd.mishap = () => "refuse";
    await discovery.delete(ENDPOINT);
    await rig.clock.advance(120_000);
    assert.equal(rig.losses.length, 1);
  }
});

test("a refusal that passes does no harm", async () => {
  const rig = makeEtcdRig();
  await using discovery = await rig.open();
  for (let round = 0; round < 4; round++) {
    rig.etcd.mishap = () => FORBIDDEN;
    await rig.clock.advance(40_000);
    rig.etcd.mishap = () => null;
    await rig.clock.advance(20_000);
    assert.deepEqual([rig.losses, rig.etcd.leases], [[], [discovery.instanceId]]);
  }
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
  assert.doesNotMatch(rig.lines.join("\n"), / WARN /);
  rig.etcd.revoke(discovery.instanceId);
  await rig.clock.pause(50_000);
  await rig.clock.advance(1000);
  assert.match(rig.lines.join("\n"), /Lost the lease .*this process was paused for [45]\d\.\d s, longer than the 30 s/);
  assert.deepEqual(rig.etcd.leases, [discovery.instanceId]);
});
