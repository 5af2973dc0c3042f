/** A worker whose place in etcd is gone comes back to it: under the same number, with the same records. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Discovery } from "../../src/discovery/discovery.ts";
import type { EtcdReceived } from "../support/fake_etcd.ts";
import { CARD, ENDPOINT, type EtcdRig, makeEtcdRig, makeView } from "../support/etcd_rig.ts";
import { pseudoRandom } from "../support/pseudo_random.ts";

const NAMES = ["v1/instances/ns/c/e/1f", "v1/mdc/ns/c/e/1f"];

/** A worker with card and endpoint. */
async function openWorker(rig: EtcdRig, options = {}): Promise<Discovery> {
  const discovery = await rig.open(options);
  await discovery.put(CARD, '"card"');
  await discovery.put(ENDPOINT, '"endpoint"');
  await rig.clock.advance(16_000);
  return discovery;
}

/** Lines of warnings and of the return. */
function told({ lines }: EtcdRig): string[] {
  return lines.filter((line) => / WARN |Back in discovery/.test(line));
}

/** Names in the order in which they were written since a call. */
function written(calls: readonly EtcdReceived[]): string[] {
  return calls.filter(({ path }) => path === "/v3/kv/txn").map(({ body }) => atob(body.compare[0].key));
}

const LOSSES: readonly {
  readonly name: string;
  readonly reason: RegExp;
  lose(rig: EtcdRig, id: bigint): Promise<void>;
}[] = [
  {
    name: "revoked by somebody",
    reason: /reason="somebody revoked it"/,
    lose: ({ etcd }, id) => Promise.resolve(void etcd.revoke(id)),
  },
  {
    name: "gone with all of etcd's data",
    reason: /reason="etcd lost its data: it is at revision 1, after 3"/,
    lose: ({ etcd }) => Promise.resolve(etcd.wipe()),
  },
  {
    name: "run out while etcd was away",
    reason: /reason="it could not be renewed for 30 s: .*nothing listens there"/,
    async lose({ etcd, clock }, id) {
      etcd.mishap = () => "refuse";
      await clock.advance(70_000);
      etcd.revoke(id);
      etcd.mishap = () => null;
    },
  },
  {
    name: "run out while this process was stopped",
    reason: /reason="this process was paused for \d\d\.\d s, longer than the 30 s that it lives"/,
    async lose({ etcd, clock }, id) {
      etcd.revoke(id);
      await clock.pause(60_000);
    },
  },
];

for (const { name, reason, lose } of LOSSES) {
  test(`a lease ${name} is taken again under its number, card before endpoint, with a line for each way`, async () => {
    const rig = makeEtcdRig();
    const { etcd, clock, losses } = rig;
    await using discovery = await openWorker(rig);
    await using reader = await rig.open({ isReader: true });
    const view = makeView();
    await using _watch = await reader.watch("v1/instances", view.report);
    await clock.settle();
    const before = etcd.entries;
    const from = etcd.received.length;
    await lose(rig, discovery.instanceId);
    await clock.advance(16_000);
    assert.deepEqual(etcd.entries, before);
    assert.deepEqual(etcd.leases, [discovery.instanceId]);
    assert.deepEqual(written(etcd.received.slice(from)), [...NAMES].reverse());
    assert.deepEqual([...view.records], [["ns/c/e/1f", '"endpoint"']]);
    assert.deepEqual(losses, []);
    const lines = told(rig).filter((line) => !/Cannot renew|Lost sight/.test(line));
    assert.equal(lines.length, 2, lines.join("\n"));
    assert.match(lines[0]!, /Lost the lease at etcd, taking it again; only frontends that know this worker reach it/);
    assert.match(lines[0]!, reason);
    assert.match(lines[1]!, /Back in discovery at etcd .*records=2/);
    await clock.advance(60_000);
    assert.equal(told(rig).filter((line) => !/Cannot renew|Lost sight/.test(line)).length, 2, "and that is all");
  });
}

test("what was withdrawn meanwhile stays away, also if the lease turns out to be alive", async () => {
  for (const isAlive of [true, false]) {
    const rig = makeEtcdRig();
    await using discovery = await openWorker(rig);
    rig.etcd.mishap = () => "refuse";
    // In etcd's own time the lease has not run out.
    for (let second = 0; second < 40; second++) {
      if (isAlive) rig.etcd.restart();
      await rig.clock.advance(1000);
    }
    await discovery.delete(ENDPOINT);
    rig.etcd.mishap = () => null;
    assert.equal(rig.etcd.keys.length, isAlive ? 2 : 0);
    await rig.clock.advance(16_000);
    assert.deepEqual(rig.etcd.entries, [["v1/mdc/ns/c/e/1f", '"card"']]);
    await discovery.put(ENDPOINT, '"again"');
    assert.equal(rig.etcd.keys.length, 2);
  }
});

test("nothing can be put while the lease is away; a worker that is leaving does not come back", async () => {
  const rig = makeEtcdRig();
  const leaving = new AbortController();
  await using discovery = await openWorker(rig, { signal: leaving.signal });
  rig.etcd.mishap = () => "refuse";
  await rig.clock.advance(70_000);
  await assert.rejects(discovery.put(ENDPOINT, '"new"'), /the lease at etcd is lost and not back yet; try again/);
  leaving.abort();
  rig.etcd.mishap = () => null;
  await rig.clock.advance(30_000);
  assert.deepEqual(rig.etcd.keys, []);
  assert.doesNotMatch(rig.lines.join("\n"), /Back in discovery/);
});

test("a record that somebody deletes or replaces is put back at the next renewal; the others are left alone", async () => {
  const rig = makeEtcdRig();
  await using discovery = await openWorker(rig);
  const before = rig.etcd.entries;
  for (const meddle of [() => rig.etcd.remove(NAMES[1]!), () => rig.etcd.write(NAMES[1]!, "mine")]) {
    const from = rig.etcd.received.length;
    meddle();
    await rig.clock.advance(15_000);
    assert.deepEqual(rig.etcd.entries, before);
    assert.deepEqual(new Set(written(rig.etcd.received.slice(from))), new Set([NAMES[1]]));
  }
  assert.match(
    rig.lines.join("\n"),
    /WARN .*Discovery record published again key=v1\/mdc\S* reason="somebody deleted it"/,
  );
  assert.deepEqual(rig.etcd.leases, [discovery.instanceId]);
});

test("a record that got there though nobody was told is deleted at the next renewal", async () => {
  const rig = makeEtcdRig();
  await using discovery = await rig.open();
  let isFirst = true;
  rig.etcd.mishap = ({ path }) => path !== "/v3/kv/txn" ? null : isFirst ? (isFirst = false, "cut") : "refuse";
  const put = assert.rejects(discovery.put(ENDPOINT, "1"), /Cannot publish/);
  await rig.clock.advance(12_000);
  await put;
  rig.etcd.mishap = () => null;
  assert.equal(rig.etcd.keys.length, 1);
  await rig.clock.advance(15_000);
  assert.deepEqual(rig.etcd.keys, []);
});

test("a grant whose answer was lost is recognised; a lease of somebody else's is not touched", async () => {
  for (const isForeign of [false, true]) {
    const rig = makeEtcdRig();
    await using discovery = await openWorker(rig);
    const { instanceId } = discovery;
    let isCut = false;
    rig.etcd.revoke(instanceId);
    rig.etcd.mishap = ({ path }) => path !== "/v3/lease/grant" || isCut ? null : (isCut = true, "cut");
    if (isForeign) {
      // Between the question and the grant.
      rig.etcd.mishap = ({ path }) => {
        if (path === "/v3/lease/grant" && rig.etcd.leases.length === 0) {
          rig.etcd.take(instanceId);
          rig.etcd.write("v1/mdc/theirs", "1", instanceId);
        }
        return null;
      };
    }
    await rig.clock.advance(20_000);
    assert.deepEqual(rig.etcd.leases, [instanceId]);
    if (!isForeign) {
      assert.deepEqual([rig.etcd.keys, rig.losses], [NAMES, []]);
      continue;
    }
    assert.deepEqual(rig.etcd.keys, ["v1/mdc/theirs"]);
    assert.match(rig.losses[0]!.message, /somebody else's lease has its number now, with v1\/mdc\/theirs$/);
  }
});

test("records that etcd refuses for good end it, though it grants the lease", async () => {
  const rig = makeEtcdRig();
  await using discovery = await openWorker(rig);
  rig.etcd.revoke(discovery.instanceId);
  const body = '{"error":"etcdserver: permission denied","code":7}';
  rig.etcd.mishap = ({ path }) => path === "/v3/kv/txn" ? { status: 403, contentType: "application/json", body } : null;
  await rig.clock.advance(30_000);
  assert.deepEqual(rig.losses, []);
  await rig.clock.advance(60_000);
  assert.match(rig.losses.map(({ message }) => message).join(), /etcd keeps refusing its records: .*permission denied/);
});

test(
  "whatever happens to etcd, in the end the records are there that should be, or nobody's",
  { timeout: 60_000 },
  async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const { below } = pseudoRandom(seed);
      const rig = makeEtcdRig(["http://a:2379", "http://b:2379"]);
      const { etcd, clock, losses } = rig;
      await using discovery = await rig.open();
      const wanted = new Map<string, string>();
      const mishaps = ["refuse", "cut", "leaderless", "hang"] as const;
      for (let step = 0; step < 12; step++) {
        const [percent, kind] = [below(4) * 30, below(6)];
        etcd.mishap = () => below(100) < percent ? mishaps[below(4)]! : null;
        if (kind === 0) etcd.wipe();
        if (kind === 1) etcd.revoke(discovery.instanceId);
        if (kind === 2) etcd.keys.forEach((name) => below(2) === 0 && etcd.remove(name));
        if (kind === 3) etcd.restart();
        await clock.advance(below(60_000));
        const path = `ns/c/e/${below(4)}`;
        const isPut = below(3) > 0;
        const key = { bucket: "v1/instances", path } as const;
        const change = isPut ? discovery.put(key, String(step)) : discovery.delete(key);
        const done = change.then(() => true, () => false);
        await clock.advance(60_000);
        const isDone = await done;
        if (isDone) isPut ? wanted.set(path, String(step)) : wanted.delete(path);
        else if (isPut) await settleAnew(rig, () => discovery.put(key, String(step))), wanted.set(path, String(step));
      }
      etcd.mishap = () => null;
      await clock.advance(60_000);
      assert.deepEqual(losses, [], `seed ${seed}`);
      assert.deepEqual(etcd.leases, [discovery.instanceId], `seed ${seed}`);
      const sorted = [...wanted].map(([path, value]) => [`v1/instances/${path}`, value]).sort();
      assert.deepEqual(etcd.entries, sorted, `seed ${seed}`);
    }
  },
);

/** Repeats a change, with nothing in its way, until it succeeds. */
async function settleAnew({ etcd, clock }: EtcdRig, change: () => Promise<void>): Promise<void> {
  etcd.mishap = () => null;
  for (let isDone = false; !isDone;) {
    await clock.advance(30_000);
    const done = change().then(() => true, () => false);
    await clock.advance(30_000);
    isDone = await done;
  }
}
