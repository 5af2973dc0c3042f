/**
 * The routes under `/engine/` of a worker that is otherwise not there: an engine of a few members, discovery in memory,
 * a clock that stands still.
 *
 * @module
 */
import type { Discovery } from "../../src/discovery/discovery.ts";
import { MemStore, openMemDiscovery } from "../../src/discovery/mem.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { createLog } from "../../src/observe/log.ts";
import { createMetrics } from "../../src/observe/metrics.ts";
import { Artifacts, createStatusApp } from "../../src/observe/status_server.ts";
import { buildModelCard } from "../../src/protocol/card_build.ts";
import { decodeModel } from "../../src/protocol/record.ts";
import { type AdminLoad, type OpenedParts, WorkerAdmin } from "../../src/worker/admin.ts";
import { Lifecycle } from "../../src/worker/lifecycle.ts";
import { register, type Registration } from "../../src/worker/registration.ts";
import { FakeClock } from "./fake_clock.ts";

export const NAME = { namespace: "dynamo", component: "sample", endpoint: "generate" };
export const CARD = buildModelCard({ engine: { model: "m" }, sourcePath: "m" });

/** Settings of {@linkcode createBench}. */
export interface BenchOptions {
  readonly graceSeconds?: number;
  readonly hooks?: Omit<OpenedParts, "registration">;
}

/** What a test does with it. */
export interface Bench {
  readonly admin: WorkerAdmin;
  readonly clock: FakeClock;
  readonly lifecycle: Lifecycle;
  readonly lines: string[];
  /** What happened, in order: calls of the engine's, and `put` and `delete` with a bucket. */
  readonly events: string[];
  /** Buckets whose change fails. */
  readonly broken: Set<string>;
  /** What a worker would count. */
  load: AdminLoad;
  /** Goes on to the state of a worker that serves. */
  serve(): Promise<Registration>;
  /** Tells it to stop, as a signal does. */
  stop(): void;
  /** What a call is answered: status and JSON. */
  ask(path: string, init?: RequestInit): Promise<{ readonly status: number; readonly body: unknown }>;
  /** Status of `/health`. */
  health(): Promise<number>;
  /** Whether the endpoint record is in discovery. */
  isRegistered(): boolean;
  /** Taints on the card in discovery. */
  taints(): unknown;
}

/** Makes a worker that is not mounted. */
export async function createBench(members: Partial<Engine> = {}, options: BenchOptions = {}): Promise<Bench> {
  const clock = new FakeClock();
  const lines: string[] = [];
  const events: string[] = [];
  const broken = new Set<string>();
  const log = createLog({ level: "debug", wallTime: () => 0, write: (line) => void lines.push(line) });
  const store = new MemStore();
  const mem = await openMemDiscovery(store, {
    random: { number: () => 0, u64: () => 0xfeed_0000_0000_0001n, uuid: () => "" },
  });
  const discovery: Discovery = {
    ...mem,
    put: (key, value) => change("put", key.bucket, () => mem.put(key, value)),
    delete: (key) => change("delete", key.bucket, () => mem.delete(key)),
  };
  const change = async (what: string, bucket: string, action: () => Promise<void>): Promise<void> => {
    if (broken.has(bucket)) throw new Error("the store is gone");
    await action();
    events.push(`${what} ${bucket}`);
  };
  const engine = { start: () => Promise.reject(), generate: () => null!, cleanup() {}, ...members } as Engine;
  const lifecycle = new Lifecycle(log);
  const stop = new AbortController();
  const { graceSeconds = 0, hooks = {} } = options;
  const parts = {
    engine,
    lifecycle,
    clock,
    log,
    stop: stop.signal,
    instanceId: mem.instanceId,
    name: NAME,
    graceSeconds,
  };
  const admin = new WorkerAdmin(parts);
  const app = createStatusApp({
    health: () => ({ ready: lifecycle.isReady && admin.isReady, uptimeMs: 0, endpoints: {} }),
    metrics: createMetrics({ instanceId: 1n, now: () => 0 }),
    artifacts: new Artifacts(),
    engine: admin,
  });
  const bench: Bench = {
    admin,
    clock,
    lifecycle,
    lines,
    events,
    broken,
    load: { active: 0, queued: 0, oldestAt: null },
    async serve(): Promise<Registration> {
      if (lifecycle.state === "init") lifecycle.move("starting");
      admin.mount({ model: "m", load: () => bench.load });
      const transport = { tcp: "127.0.0.1:1/x" };
      const input = { name: NAME, card: CARD, transport, codec: "msgpack", deviceType: "cpu" } as const;
      const registration = await register(discovery, input, log);
      lifecycle.move("ready");
      admin.open({ registration, ...hooks });
      events.length = 0;
      return registration;
    },
    stop: () => stop.abort(),
    async ask(path, init) {
      const response = await app.request(path, init);
      return { status: response.status, body: JSON.parse(await response.text()) };
    },
    health: async () => (await app.request("/health")).status,
    isRegistered: () => store.list("v1/instances").length === 1,
    taints: () => {
      const { runtime_config } = decodeModel(store.list("v1/mdc")[0]!.value).card_json;
      return (runtime_config as { taints?: unknown }).taints;
    },
  };
  return bench;
}

/** A `POST` with a JSON body. */
export function post(body?: unknown): RequestInit {
  return body === undefined ? { method: "POST" } : { method: "POST", body: JSON.stringify(body) };
}

/** A promise that a test settles. */
export function held<T>(): { readonly promise: Promise<T>; open(value: T): void; fail(error: unknown): void } {
  let open!: (value: T) => void;
  let fail!: (error: unknown) => void;
  const promise = new Promise<T>((resolve, reject) => [open, fail] = [resolve, reject]);
  return { promise, open, fail };
}
