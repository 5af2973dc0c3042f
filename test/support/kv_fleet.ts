/**
 * Workers with prefix caches behind a frontend in KV mode, and what it tells of its decisions.
 *
 * @module
 */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { openFileDiscovery } from "../../src/discovery/file.ts";
import { parseBroker } from "../../src/event_plane/zmq_broker.ts";
import { SILENT } from "../../src/observe/log.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { encodeEventChannel, eventChannelKey } from "../../src/protocol/event_record.ts";
import { COMPLETIONS, type Frontend, startFrontend } from "./frontend.ts";
import { PYTHON, TINY_MODEL } from "./peers.ts";
import { type Child, freePort, start, until } from "./processes.ts";
import { startReadyStator, type Stator } from "./stator.ts";
import type { Store } from "./store.ts";
import { startZmq } from "./zmq_peer.ts";

/** Tokens of a block. */
export const BLOCK = 16;
/** Blocks of a {@linkcode prompt}. */
export const BLOCKS = 8;
/** Times the prompts are asked again. */
export const ROUNDS = 100;
/** Different prompts. */
export const PROMPTS = 10;

/** Variables of a process. */
export type Env = Readonly<Record<string, string>>;

/** A prompt of whole blocks that no other seed shares a block with. */
export function prompt(seed: number): number[] {
  return Array.from({ length: BLOCK * BLOCKS }, (_, i) => 1 + (seed * 7919 + i * 31 + seed * i) % 250);
}

/** What an answer tells of where it came from. */
export interface Told {
  readonly worker: string;
  /** The rank that the router chose. */
  readonly rank: number;
  /** Share of the prompt that the router expected to be in the cache. */
  readonly hitRate: number;
  /** Tokens of the prompt that were in the cache. */
  readonly cached: number;
  /** What the worker said; an engine of ours says its rank. */
  readonly text: string;
}

/** Asks a prompt. */
export async function ask(frontend: Frontend, tokens: readonly number[], more = {}): Promise<Told> {
  const { status, body } = await frontend.post(COMPLETIONS, {
    model: TINY_MODEL,
    prompt: tokens,
    max_tokens: 1,
    nvext: { extra_fields: ["worker_id", "timing"] },
    ...more,
  });
  assert.equal(status, 200, JSON.stringify(body));
  const { worker_id, timing } = body.nvext;
  return {
    worker: String(worker_id.decode_worker_id),
    rank: worker_id.decode_dp_rank,
    hitRate: timing.kv_hit_rate,
    cached: body.usage.prompt_tokens_details?.cached_tokens ?? 0,
    text: body.choices[0].text,
  };
}

/** What {@linkcode affinity} found. */
export interface Affinity {
  /** How often a prompt went where it had been first. */
  readonly same: number;
  /** Mean of what the router expected, and of the tokens found. */
  readonly hitRate: number;
  readonly cached: number;
  /** Where each prompt went first. */
  readonly homes: readonly Told[];
  /** Later answers that were from elsewhere, or not expected in a cache, one text each. */
  readonly strays: readonly string[];
}

/** Asks each prompt once, then all again and again, and holds the later answers to the first. */
export async function affinity(frontend: Frontend, first = 0): Promise<Affinity> {
  const homes: Told[] = [];
  for (let seed = 0; seed < PROMPTS; seed++) homes.push(await ask(frontend, prompt(first + seed)));
  return { ...await askAgain(frontend, homes, first), homes };
}

/** Asks the prompts again that have homes. */
export async function askAgain(
  frontend: Frontend,
  homes: readonly Told[],
  first = 0,
): Promise<Omit<Affinity, "homes">> {
  const strays: string[] = [];
  let [same, hitRate, cached] = [0, 0, 0];
  for (let i = 0; i < ROUNDS; i++) {
    const told = await ask(frontend, prompt(first + i % homes.length));
    const home = homes[i % homes.length]!;
    const isSame = told.worker === home.worker && told.rank === home.rank;
    if (isSame) same++;
    if (!isSame || told.hitRate < 1) strays.push(`${i}: ${home.worker} to ${told.worker}, hit rate ${told.hitRate}`);
    hitRate += told.hitRate / ROUNDS;
    cached += told.cached / ROUNDS;
  }
  return { same, hitRate, cached, strays };
}

/** Prints what was found, for whoever reads the run. */
export function report(what: string, { same, hitRate, cached }: Omit<Affinity, "homes">): void {
  const mean = `mean hit rate ${hitRate.toFixed(3)}, ${cached.toFixed(1)} of ${BLOCK * BLOCKS} tokens cached`;
  console.log(`${what}: ${same} of ${ROUNDS} to the same worker, ${mean}`);
}

/** Starts a worker with a prefix cache, see `prefix_cache_engine.ts`. */
export function startEngine(store: Store, env: Env = {}): Promise<Stator> {
  return startReadyStator(store, {
    program: "test/support/prefix_cache_engine.ts",
    env: { PREFIX_CACHE_MODEL: TINY_MODEL, DYN_EVENT_PLANE_HOST: "127.0.0.1", ...env },
  });
}

/** A frontend in KV mode. */
export function startKvFrontend(store: Store, env: Env = {}, options: readonly string[] = []): Promise<Frontend> {
  return startFrontend(store, env, ["--router-mode", "kv", ...options]);
}

/** Waits until the frontend has a model and that many workers. */
export async function served(store: Store, frontend: Frontend, workers: number): Promise<void> {
  await frontend.listed(TINY_MODEL);
  const here = () => store.keys("v1/instances/dynamo/backend/generate/").length === workers;
  await until(`${workers} workers`, 20_000, here);
}

/** What runs an event plane; disposing it ends it. */
export interface PlaneProcess extends AsyncDisposable {
  /** Variables of workers and frontends that use it. */
  readonly env: Env;
}

/** libzmq's own broker. */
export async function startBroker(): Promise<PlaneProcess> {
  const broker = startZmq("proxy", "tcp://127.0.0.1:0");
  const xsub = (await broker.waitFor(/xsub (\S+)/, 20_000))[1]!;
  const xpub = (await broker.waitFor(/xpub (\S+)/, 20_000))[1]!;
  const env = { DYN_ZMQ_BROKER_URL: `xsub=${xsub},xpub=${xpub}` };
  return { env, [Symbol.asyncDispose]: () => broker[Symbol.asyncDispose]() };
}

/** libzmq's own broker, which frontends and workers of a store have to look for. */
export async function startListedBroker(store: Store): Promise<PlaneProcess> {
  const broker = await startBroker();
  const { xsub, xpub } = parseBroker(broker.env.DYN_ZMQ_BROKER_URL!, "the test");
  const root = store.env.DYN_FILE_KV!;
  const discovery = await openFileDiscovery({ root, platform: realPlatform, log: SILENT });
  const scope = { kind: "component", namespace: "dynamo", component: "zmq_broker" } as const;
  const transport = { kind: "ZmqBroker", config: { xsub_endpoints: xsub, xpub_endpoints: xpub } } as const;
  const record = encodeEventChannel({ scope, topic: "broker", instance_id: 1n, transport });
  await discovery.put(eventChannelKey(scope, "broker", 1n), record);
  return {
    env: { DYN_ZMQ_BROKER_ENABLED: "1" },
    async [Symbol.asyncDispose]() {
      await discovery[Symbol.asyncDispose]();
      await broker[Symbol.asyncDispose]();
    },
  };
}

/** A NATS server. */
export async function startNats(): Promise<PlaneProcess & { readonly child: Child; readonly port: number }> {
  const port = await freePort();
  const child = startNatsOn(port);
  await child.waitFor(/Server is ready/, 20_000);
  const env = { DYN_EVENT_PLANE: "nats", NATS_SERVER: `nats://127.0.0.1:${port}` };
  return { env, child, port, [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() };
}

/** Variables of workers and frontends whose requests go over that NATS too. */
export function requestsOver({ env }: PlaneProcess): Env {
  return { ...env, DYN_REQUEST_PLANE: "nats" };
}

/** A NATS server on a port; it is not ready yet. */
export function startNatsOn(port: number): Child {
  const executable = join(dirname(PYTHON), "nats-server");
  return start({ name: "nats-server", executable, args: ["-a", "127.0.0.1", "-p", String(port)], env: {} });
}
