import assert from "node:assert/strict";
import { test } from "node:test";
import type { Discovery, DiscoveryEvent } from "../../src/discovery/discovery.ts";
import { openEtcdDiscovery } from "../../src/discovery/etcd.ts";
import { openFileDiscovery } from "../../src/discovery/file.ts";
import { openKubernetesDiscovery } from "../../src/discovery/kubernetes.ts";
import { MemStore, openMemDiscovery } from "../../src/discovery/mem.ts";
import { SILENT } from "../../src/observe/log.ts";
import { files } from "../../src/platform/files.ts";
import type { DiscoveryKey } from "../../src/protocol/record.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { FakeEtcd } from "../support/fake_etcd.ts";
import { FakeHttpClients, FakeKubernetes, kubeconfig, mounted } from "../support/fake_kubernetes.ts";
import { openTemporaryDirectory } from "../support/files.ts";

/** A store that several parties open; disposing it removes what is left of it. */
interface World extends AsyncDisposable {
  readonly clock: FakeClock;
  /** Parties of one name run in the same place, where a store knows places. */
  party(place?: string): Promise<Discovery>;
}

/** One row for each backend. */
const BACKENDS: readonly { readonly name: string; open(): Promise<World> }[] = [
  {
    name: "mem",
    open() {
      const store = new MemStore();
      const world: World = {
        clock: new FakeClock(),
        party: () => openMemDiscovery(store, { random: counter() }),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      };
      return Promise.resolve(world);
    },
  },
  {
    name: "file",
    async open() {
      const directory = await openTemporaryDirectory();
      const clock = new DiskClock();
      return {
        clock,
        party: () =>
          openFileDiscovery({ root: directory.path, platform: { clock, files, random: counter() }, log: SILENT }),
        [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
      };
    },
  },
  {
    name: "etcd",
    open() {
      const clock = new FakeClock();
      const platform = { clock, httpClients: new FakeEtcd(new FakeClock()), random: counter() };
      const servers = { origins: ["http://etcd:2379"], user: null, tls: {} };
      const probe = { intervalMs: 15_000, timeoutMs: 10_000 };
      const world: World = {
        clock,
        party: () => openEtcdDiscovery({ platform, servers, probe, ttlSeconds: 30, patienceMs: 0, log: SILENT }),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      };
      return Promise.resolve(world);
    },
  },
  {
    name: "kubernetes",
    open() {
      const clock = new FakeClock();
      const cluster = new FakeKubernetes();
      const httpClients = new FakeHttpClients((request) => cluster.handle(request));
      let pods = 0;
      const world: World = {
        clock,
        party(name = `worker-${pods++}`) {
          cluster.setPod(name, `uid of ${name}`, true);
          const env = { POD_NAME: name, POD_UID: `uid of ${name}`, POD_NAMESPACE: "default", KUBECONFIG: "/config" };
          const files = mounted({ "/config": kubeconfig("http://cluster") });
          return openKubernetesDiscovery({ env, files, httpClients, clock, log: SILENT });
        },
        [Symbol.asyncDispose]: () => Promise.resolve(),
      };
      return Promise.resolve(world);
    },
  },
];

/** Timers are virtual, wall time is the disk's. */
class DiskClock extends FakeClock {
  override wallTime(): number {
    return Date.now();
  }
}

let drawn = 0xffff_0000_0000_0000n;

function counter(): { number(): number; u64(): bigint; uuid(): string } {
  return { number: () => 0.5, u64: () => drawn++, uuid: () => "" };
}

const CARD: DiscoveryKey = { bucket: "v1/mdc", path: "my_ns-1/comp/gen/1f/acme_v2.%x" };
const ENDPOINT: DiscoveryKey = { bucket: "v1/instances", path: "my_ns-1/comp/gen/1f" };
const LONGER: DiscoveryKey = { bucket: "v1/instances", path: "my_ns-1/comp/gen/1f0" };

/** Lets time pass until something holds; the disk answers in its own time. */
async function until(world: World, holds: () => boolean): Promise<void> {
  for (let step = 0; !holds(); step++) {
    assert.ok(step < 2000, "it never came true");
    await world.clock.advance(step % 20 === 0 ? 250 : 0);
  }
}

const CASES: readonly { readonly name: string; run(world: World): Promise<void> }[] = [
  {
    name: "a record is listed by everybody, as it was written",
    async run(world) {
      await using a = await world.party();
      await using b = await world.party();
      const value = '{"instance_id":18446744073709551615,"text":"ü"}';
      await a.put(CARD, value);
      for (const party of [a, b]) assert.deepEqual(await party.list("v1/mdc"), [{ key: CARD, value }]);
      assert.deepEqual(await b.list("v1/instances"), []);
    },
  },
  {
    name: "each party has an identity of its own",
    async run(world) {
      await using a = await world.party();
      await using b = await world.party();
      assert.notEqual(a.instanceId, b.instanceId);
      assert.ok(a.instanceId >= 0n && a.instanceId < 2n ** 64n);
    },
  },
  {
    name: "a record can be replaced",
    async run(world) {
      await using a = await world.party();
      await a.put(ENDPOINT, "1");
      await a.put(ENDPOINT, "2");
      assert.deepEqual(await a.list("v1/instances"), [{ key: ENDPOINT, value: "2" }]);
    },
  },
  {
    name: "a record that a predecessor left under the same key is replaced",
    async run(world) {
      await using a = await world.party("same");
      await using b = await world.party("same");
      await a.put(ENDPOINT, '"old"');
      await b.put(ENDPOINT, '"new"');
      assert.deepEqual(await a.list("v1/instances"), [{ key: ENDPOINT, value: '"new"' }]);
    },
  },
  {
    name: "a deleted record is gone; deleting it again is fine",
    async run(world) {
      await using a = await world.party();
      await a.put(ENDPOINT, "1");
      await a.put(LONGER, "2");
      await a.delete(ENDPOINT);
      await a.delete(ENDPOINT);
      await a.delete(CARD);
      assert.deepEqual(await a.list("v1/instances"), [{ key: LONGER, value: "2" }]);
    },
  },
  {
    name: "a watch reports what is there, then each change, in order",
    async run(world) {
      await using a = await world.party();
      await using b = await world.party();
      await a.put(ENDPOINT, "1");
      await a.put(CARD, '"card"');
      const seen: DiscoveryEvent[] = [];
      await using _watch = await b.watch("v1/instances", (event) => seen.push(event));
      assert.deepEqual(seen, [{ kind: "put", key: ENDPOINT, value: "1" }]);
      await a.put(LONGER, "2");
      await until(world, () => seen.length === 2);
      await a.delete(ENDPOINT);
      await until(world, () => seen.length === 3);
      await a.put(LONGER, "3");
      await until(world, () => seen.length === 4);
      assert.deepEqual(seen.slice(1), [
        { kind: "put", key: LONGER, value: "2" },
        { kind: "delete", key: ENDPOINT },
        { kind: "put", key: LONGER, value: "3" },
      ]);
    },
  },
  {
    name: "a record that is published again unchanged is not reported again",
    async run(world) {
      await using a = await world.party();
      await a.put(ENDPOINT, "1");
      const seen: DiscoveryEvent[] = [];
      await using _watch = await a.watch("v1/instances", (event) => seen.push(event));
      await a.put(ENDPOINT, "1");
      await world.clock.advance(8000); // two keep-alives
      await a.put(LONGER, "2");
      await until(world, () => seen.length > 1);
      assert.deepEqual(seen.map((event) => event.key), [ENDPOINT, LONGER]);
    },
  },
  {
    name: "a disposed watch is silent, its neighbour is not",
    async run(world) {
      await using a = await world.party();
      const [first, second]: [DiscoveryEvent[], DiscoveryEvent[]] = [[], []];
      const watch = await a.watch("v1/instances", (event) => first.push(event));
      await using _other = await a.watch("v1/instances", (event) => second.push(event));
      await watch[Symbol.asyncDispose]();
      await a.put(ENDPOINT, "1");
      await until(world, () => second.length === 1);
      assert.deepEqual(first, []);
    },
  },
  {
    name: "a party that leaves takes its own records with it, and no others",
    async run(world) {
      const a = await world.party();
      await using b = await world.party();
      await a.put(ENDPOINT, '"a"');
      await a.put(CARD, '"a"');
      await b.put(LONGER, '"b"');
      const seen: DiscoveryEvent[] = [];
      await using _watch = await b.watch("v1/instances", (event) => seen.push(event));
      await a[Symbol.asyncDispose]();
      assert.deepEqual(await b.list("v1/mdc"), []);
      assert.deepEqual(await b.list("v1/instances"), [{ key: LONGER, value: '"b"' }]);
      await until(world, () => seen.some((event) => event.kind === "delete"));
      assert.deepEqual(seen.at(-1), { kind: "delete", key: ENDPOINT });
    },
  },
  {
    name: "a party that leaves spares what another has put in the place of its record",
    async run(world) {
      const a = await world.party();
      await using b = await world.party();
      await a.put(ENDPOINT, '"a"');
      await b.put(ENDPOINT, '"b"');
      await a[Symbol.asyncDispose]();
      assert.deepEqual(await b.list("v1/instances"), [{ key: ENDPOINT, value: '"b"' }]);
    },
  },
  {
    name: "a party that has left publishes nothing and keeps no timer",
    async run(world) {
      const a = await world.party();
      await a.put(ENDPOINT, "1");
      await a.watch("v1/instances", () => {});
      await a[Symbol.asyncDispose]();
      await a[Symbol.asyncDispose]();
      await assert.rejects(a.put(ENDPOINT, "2"), /closed/);
      assert.equal(world.clock.pendingTimers, 0);
      await using b = await world.party();
      assert.deepEqual(await b.list("v1/instances"), []);
    },
  },
];

for (const backend of BACKENDS) {
  for (const { name, run } of CASES) {
    test(`${backend.name} discovery: ${name}`, async () => {
      await using world = await backend.open();
      await run(world);
    });
  }
}
