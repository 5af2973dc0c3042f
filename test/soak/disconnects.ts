/**
 * Many requests at once whose clients leave at random: before the worker calls, before the prologue, between tokens,
 * with and without a word. Afterwards nothing may be left of them in the worker, which is a process of its own.
 *
 * `deno run -A test/soak/disconnects.ts [--requests 10000] [--concurrency 256] [--seed 1]`, or `bun` for both; prints
 * one JSON object and exits with 1 if anything leaked.
 *
 * @module
 */
import { readdirSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { openClient, type StartedRequest } from "../../src/client/client.ts";
import type { ConnHandlers, Net } from "../../src/platform/platform.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { decodeInstance } from "../../src/protocol/record.ts";
import { memory, pause, start, until } from "../support/processes.ts";
import { CURRENT, executable } from "../support/runtimes.ts";
import { makeStore } from "../support/store.ts";

const { values } = parseArgs({
  options: {
    requests: { type: "string", default: "10000" },
    concurrency: { type: "string", default: "256" },
    seed: { type: "string", default: "1" },
  },
});
const [requests, concurrency] = [Number(values.requests), Number(values.concurrency)];

/** Memory that may stay above the baseline: heaps keep room for the next wave, and fragments. @unit bytes */
const MEMORY_BAND = 96 * 1024 * 1024;
const WARM_UP = 1000;
/** Time after which a client leaves whose answer has not ended. @unit milliseconds */
const PATIENCE_MS = 5000;

let state = Number(values.seed);
/** A uniform number in [0, 1), the same in every run. */
function random(): number {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}

let drops = 0;
let isSparing = true;
/** Sockets on which workers call home; one in four is dropped without a word, at once or after some bytes. */
const net: Net = {
  ...realPlatform.net,
  listen: (address, accept) =>
    realPlatform.net.listen(address, (conn): ConnHandlers => {
      const handlers = accept(conn);
      let budget = isSparing || random() > 0.25 ? Infinity : random() < 0.4 ? 0 : Math.floor(random() * 8000);
      const drop = () => {
        drops++;
        budget = Infinity;
        conn.destroy();
      };
      if (budget === 0) drop();
      return {
        ...handlers,
        end: () => handlers.end?.(),
        closed: (error) => handlers.closed(error),
        data(bytes) {
          handlers.data(bytes);
          budget -= bytes.length;
          if (budget < 0) drop();
        },
      };
    }),
};

const outcomes = { completed: 0, killed: 0, stopped: 0, dropped: 0, refused: 0 };

using store = makeStore("soak");
await using worker = start({
  name: "soak worker",
  executable: await executable(CURRENT),
  args: [
    ...(CURRENT === "deno" ? ["run", "-A", "--quiet", "--v8-flags=--expose-gc"] : ["run"]),
    new URL("./worker.ts", import.meta.url).pathname,
    "--model-name",
    "soak",
  ],
  env: {
    ...store.env,
    HOME: process.env.HOME ?? store.path,
    DYN_LOG: "error",
    DYN_SYSTEM_PORT: "0",
    DYN_SYSTEM_HOST: "127.0.0.1",
  },
});
const record = await until(
  "the worker to register",
  30_000,
  () => store.records().find(({ key }) => key.includes("instances")),
);
const instance = decodeInstance(record.text);
const card = await until("the card", 1000, () => store.records().find(({ key }) => key.includes("mdc")));
const system = /http:\/\/([\d.]+:\d+)\//.exec(card.text)![1];
const client = await openClient({ ...realPlatform, net });

/** Sends one request and leaves it in its own way; resolves when it is over for the client. */
function one(first: number): Promise<void> {
  return new Promise((resolve) => {
    const way = isSparing ? 1 : random();
    const leaveAt = Math.floor(random() * 64);
    let items = 0;
    let left: "killed" | "stopped" | null = null;
    const leave = (how: "killed" | "stopped") => {
      if (left !== null) return;
      left = how;
      if (how === "killed") request.kill();
      else request.stop();
    };
    const request: StartedRequest = client.start(instance, { body: { token_ids: [first], stop_conditions: {} } }, {
      item() {
        if (items++ !== leaveAt) return;
        if (way < 0.2) leave("killed");
        else if (way < 0.25) leave("stopped");
        else if (way < 0.3) {
          request.setReading(false);
          setTimeout(() => request.setReading(true), 30);
        }
      },
      ended(error) {
        clearTimeout(patience);
        if (left !== null) outcomes[left]++;
        else if (error === null) outcomes.completed++;
        else if (error.class === "CapacityExhausted") outcomes.refused++;
        else outcomes.dropped++;
        resolve();
      },
    });
    // A socket dropped before the worker said whom it calls tells this side nothing.
    const patience = setTimeout(() => leave("killed"), PATIENCE_MS);
    if (way > 0.3 && way < 0.4) setTimeout(() => leave("killed"), random() * 40);
  });
}

async function wave(count: number): Promise<void> {
  let next = 1;
  const lane = async () => {
    while (next <= count) await one(next++);
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, count) }, lane));
}

/** What the worker has open; the listing itself is ours. */
const descriptors = () => readdirSync(`/proc/${worker.pid}/fd`).length;

/** What the engine says of itself, after it collected its garbage. */
async function engineCounts(): Promise<{ open: number; started: number; aborted: number }> {
  let tokens: readonly number[] = [];
  for await (const { data } of await client.send(instance, { body: { token_ids: [0], stop_conditions: {} } })) {
    tokens = data?.token_ids ?? tokens;
  }
  const [open = -1, started = -1, aborted = -1] = tokens;
  return { open, started, aborted };
}

async function metric(name: string): Promise<number> {
  const response = await fetch(`http://${system}/metrics`, { headers: { connection: "close" } });
  const line = (await response.text()).split("\n").find((text) => new RegExp(`^${name}[{ ]`).test(text));
  return Number(line?.split(" ").at(-1) ?? NaN);
}

// Warm: the heap has its working size, the connection for requests is open.
await wave(WARM_UP);
await pause(500);
await engineCounts();
await pause(500);
const baseline = { descriptors: descriptors(), resident: (await memory(worker.pid)).resident };
Object.assign(outcomes, { completed: 0, dropped: 0, refused: 0 });

isSparing = false;
const begin = performance.now();
await wave(requests);
const seconds = (performance.now() - begin) / 1000;
isSparing = true;

const quiet = async () =>
  descriptors() <= baseline.descriptors && await metric("dynamo_component_inflight_requests") === 0;
await until("the worker to be idle", 30_000, quiet).catch(() => {});
for (let i = 0; i < 3; i++) {
  await engineCounts();
  await pause(300);
}
const engine = await engineCounts();
await pause(500);
const { resident, peak } = await memory(worker.pid);
const mib = (bytes: number) => Math.round(bytes / 1024 / 1024);
const left = {
  sockets: Math.max(0, descriptors() - baseline.descriptors),
  admission_active: await metric("dynamo_work_handler_pool_active_tasks"),
  admission_queued: await metric("dynamo_work_handler_queue_depth"),
  inflight_requests: await metric("dynamo_component_inflight_requests"),
  engine_generators: engine.open,
  memory_above_band: Math.max(0, mib(resident - baseline.resident - MEMORY_BAND)),
};
await client[Symbol.asyncDispose]();
worker.signal("SIGTERM");
const exit = await worker.exit(20_000);
const records = store.keys().length;
const isClean = Object.values(left).every((value) => value === 0) && exit.code === 0 && records === 0;
console.log(JSON.stringify({
  runtime: realPlatform.runtime,
  requests,
  concurrency,
  seconds: Number(seconds.toFixed(1)),
  completed: outcomes.completed,
  disconnected: outcomes.killed + outcomes.stopped + outcomes.dropped,
  by_way: { ...outcomes, sockets_dropped: drops },
  engine: { requests: engine.started - WARM_UP, aborts: engine.aborted },
  left,
  rss_mib: { baseline: mib(baseline.resident), peak: mib(peak), after_idle: mib(resident), band: mib(MEMORY_BAND) },
  exit_code: exit.code,
  records_left: records,
  clean: isClean,
}));
process.exitCode = isClean ? 0 : 1;
