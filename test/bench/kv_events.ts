/**
 * KV events a second from one worker into a router's index, beside Dynamo's own Python worker, in one run, alternating.
 *
 * A worker publishes as fast as it can and ends with the blocks of a marked prompt; the time is over when the frontend
 * expects that prompt in the worker's cache. Prints one JSON line per measurement, then the ratio; `asked` counts how
 * often the router asked our worker for events it missed, where 1 is the question at its start.
 *
 * Usage: `deno run -A test/bench/kv_events.ts [--events 20000] [--blocks 16] [--rounds 3]`, with `STATOR_PEERS` set.
 *
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Frontend } from "../support/frontend.ts";
import { ask, type Env, prompt, served, startKvFrontend } from "../support/kv_fleet.ts";
import { missingPeers, PYTHON, REPOSITORY, TINY_MODEL } from "../support/peers.ts";
import { type Child, memory, start, until } from "../support/processes.ts";
import { startReadyStator } from "../support/stator.ts";
import { makeStore, type Store } from "../support/store.ts";

const FLOOD = 7;

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "20000" },
    blocks: { type: "string", default: "16" },
    rounds: { type: "string", default: "3" },
  },
});

type Start = (store: Store, env: Env) => Promise<Child>;

const WORKERS: Readonly<Record<string, Start>> = {
  stator: (store, env) =>
    startReadyStator(store, {
      program: "test/support/kv_flood_engine.ts",
      env: { KV_FLOOD_MODEL: TINY_MODEL, DYN_EVENT_PLANE_HOST: "127.0.0.1", ...env },
    }),
  "dynamo-python": (store, env) =>
    Promise.resolve(start({
      name: "python flood",
      executable: PYTHON,
      args: [
        join(REPOSITORY, "test/support/peers/kv_flood_worker.py"),
        ...["--discovery-backend", "file", "--model-name", TINY_MODEL, "--component", "backend"],
      ],
      env: {
        ...store.env,
        DYN_LOG: "info",
        HOME: join(store.path, "worker-home"),
        DYN_EVENT_PLANE_HOST: "127.0.0.1",
        ...env,
      },
      cwd: store.path,
    })),
};

async function measure(worker: string): Promise<number> {
  using store = makeStore("kv-bench");
  await using frontend = await startKvFrontend(store);
  await using child = await WORKERS[worker]!(store, { KV_FLOOD_EVENTS: values.events, KV_FLOOD_BLOCKS: values.blocks });
  await served(store, frontend, 1);
  await ask(frontend, prompt(1));
  const begin = performance.now();
  const flooding = ask(frontend, prompt(2), { max_tokens: FLOOD });
  const published = flooding.then(() => (performance.now() - begin) / 1000);
  await flooding;
  await until("the last event in the index", 120_000, () => isKnown(frontend));
  const seconds = (performance.now() - begin) / 1000;
  const events = Number(values.events);
  const blocks = events * Number(values.blocks);
  console.log(JSON.stringify({
    worker,
    events,
    blocks,
    seconds,
    published_seconds: await published,
    events_per_second: Math.round(events / seconds),
    blocks_per_second: Math.round(blocks / seconds),
    asked: child.output().match(/A router recovers KV events/g)?.length ?? null,
    complaints: frontend.complaints().length,
    peak_mb: Math.round((await memory(child.pid)).peak / 1e6),
  }));
  return blocks / seconds;
}

async function isKnown(frontend: Frontend): Promise<boolean> {
  return (await ask(frontend, prompt(2))).hitRate === 1;
}

const missing = missingPeers();
if (missing !== undefined) throw new Error(missing);
const ratios: number[] = [];
for (let round = 0; round < Number(values.rounds); round++) {
  const ours = await measure("stator");
  ratios.push(ours / await measure("dynamo-python"));
}
console.log(`stator / dynamo-python: ${ratios.map((ratio) => ratio.toFixed(2)).join(", ")}`);
