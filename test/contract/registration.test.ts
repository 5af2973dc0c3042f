import assert from "node:assert/strict";
import { test } from "node:test";
import type { Discovery } from "../../src/discovery/discovery.ts";
import { openEtcdDiscovery } from "../../src/discovery/etcd.ts";
import { openFileDiscovery } from "../../src/discovery/file.ts";
import { MemStore, openMemDiscovery } from "../../src/discovery/mem.ts";
import { SILENT } from "../../src/observe/log.ts";
import { buildModelCard } from "../../src/protocol/card_build.ts";
import { decodeModel } from "../../src/protocol/record.ts";
import { register, type Registration } from "../../src/worker/registration.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { FakeEtcd } from "../support/fake_etcd.ts";
import { MemoryFiles } from "../support/files.ts";

const INPUT = {
  name: { namespace: "dynamo", component: "sample", endpoint: "generate" },
  card: buildModelCard({ engine: { model: "m" }, sourcePath: "m" }),
  transport: { tcp: "127.0.0.1:1/x" },
  codec: "msgpack",
  deviceType: "cpu",
} as const;
const random = { number: () => 0.5, u64: () => 0xfedc_ba98_7654_3210n, uuid: () => "" };

/** One row for each backend that needs no server. */
const BACKENDS: readonly { readonly name: string; open(clock: FakeClock): Promise<Discovery> }[] = [
  { name: "mem", open: () => openMemDiscovery(new MemStore(), { random }) },
  {
    name: "file",
    open: (clock) => {
      const platform = { clock, files: new MemoryFiles(clock), random };
      return openFileDiscovery({ root: "/store", platform, log: SILENT });
    },
  },
  {
    name: "etcd",
    open: (clock) => {
      const platform = { clock, httpClients: new FakeEtcd(clock), random };
      const servers = { origins: ["http://etcd:2379"], user: null, tls: {} };
      const probe = { intervalMs: 15_000, timeoutMs: 10_000 };
      return openEtcdDiscovery({ platform, servers, probe, ttlSeconds: 30, patienceMs: 0, log: SILENT });
    },
  },
];

/** A published worker, what discovery holds, and a way to keep its publications waiting. */
interface World {
  readonly discovery: Discovery;
  readonly registration: Registration;
  readonly clock: FakeClock;
  /** Publications wait for this. */
  wait: Promise<void>;
}

async function records(discovery: Discovery, bucket: "v1/instances" | "v1/mdc"): Promise<string[]> {
  return (await discovery.list(bucket)).map(({ key, value }) => `${key.path} ${value}`);
}

async function taints({ discovery }: World): Promise<unknown> {
  const [record] = await discovery.list("v1/mdc");
  return (decodeModel(record!.value).card_json.runtime_config as { taints?: unknown }).taints;
}

const CASES: readonly { readonly name: string; run(world: World): Promise<void> }[] = [
  {
    name: "publish() puts the same endpoint record back; the card stays as it is",
    async run({ discovery, registration, clock }) {
      const before = [await records(discovery, "v1/instances"), await records(discovery, "v1/mdc")];
      const id = discovery.instanceId;
      assert.match(before[0]![0]!, new RegExp(`^dynamo/sample/generate/${id.toString(16)} .*"instance_id":${id},`));
      await registration.withdraw();
      // Longer than a keep-alive takes to put back what others delete.
      await clock.advance(20_000);
      assert.deepEqual([await records(discovery, "v1/instances"), await records(discovery, "v1/mdc")], [[], before[1]]);
      await registration.publish();
      await clock.advance(20_000);
      assert.deepEqual([await records(discovery, "v1/instances"), await records(discovery, "v1/mdc")], before);
    },
  },
  {
    name: "publish() and withdraw() may be said twice",
    async run({ discovery, registration }) {
      await registration.publish();
      assert.equal((await records(discovery, "v1/instances")).length, 1);
      await registration.withdraw();
      await registration.withdraw();
      assert.equal((await records(discovery, "v1/instances")).length, 0);
    },
  },
  {
    name: "what is asked at once is done in order",
    async run({ discovery, registration }) {
      await Promise.all([registration.withdraw(), registration.publish(), registration.withdraw()]);
      assert.equal((await records(discovery, "v1/instances")).length, 0);
      await Promise.all([registration.publish(), registration.withdraw(), registration.publish()]);
      assert.equal((await records(discovery, "v1/instances")).length, 1);
    },
  },
  {
    name: "retire() undoes a publication under way, and refuses those that wait and those that come",
    async run(world) {
      const { discovery, registration, clock } = world;
      await registration.withdraw();
      let letGo!: () => void;
      world.wait = new Promise((resolve) => letGo = resolve);
      const outcomes = [registration.publish()];
      await clock.settle();
      outcomes.push(registration.publish(), registration.retire());
      letGo();
      const statuses = (await Promise.allSettled(outcomes)).map(({ status }) => status);
      assert.deepEqual(statuses, ["fulfilled", "rejected", "fulfilled"]);
      await assert.rejects(registration.publish(), {
        message: "Cannot publish endpoint record: the worker is shutting down",
      });
      assert.deepEqual(await records(discovery, "v1/instances"), []);
    },
  },
  {
    name: "setTaints() rewrites the card in place, also while the endpoint is away",
    async run(world) {
      const { discovery, registration } = world;
      const before = await records(discovery, "v1/mdc");
      await registration.setTaints(["b", "a"]);
      assert.deepEqual(await taints(world), ["a", "b"]);
      await registration.withdraw();
      await registration.setTaints(["c"]);
      assert.deepEqual(await taints(world), ["c"]);
      assert.deepEqual(await records(discovery, "v1/instances"), []);
      await registration.setTaints([]);
      assert.deepEqual(await records(discovery, "v1/mdc"), before);
    },
  },
];

for (const backend of BACKENDS) {
  for (const { name, run } of CASES) {
    test(`registration on ${backend.name}: ${name}`, async () => {
      const clock = new FakeClock();
      await using discovery = await backend.open(clock);
      const waiting: Discovery = {
        name: discovery.name,
        instanceId: discovery.instanceId,
        put: (key, value) => world.wait.then(() => discovery.put(key, value)),
        delete: (key) => discovery.delete(key),
        list: (bucket) => discovery.list(bucket),
        watch: (bucket, report) => discovery.watch(bucket, report),
        [Symbol.asyncDispose]: () => discovery[Symbol.asyncDispose](),
      };
      const world = { discovery, clock, wait: Promise.resolve() } as { -readonly [K in keyof World]: World[K] };
      world.registration = await register(waiting, INPUT, SILENT);
      await run(world);
    });
  }
}
