/**
 * The workers that are measured, each in a component of its own, so that a load client can pick it.
 *
 * @module
 */
import { TINY_MODEL } from "../support/peers.ts";
import type { Child } from "../support/processes.ts";
import { startPythonWorker } from "../support/python_worker.ts";
import type { Runtime } from "../support/runtimes.ts";
import { startRustWorker } from "../support/rust_worker.ts";
import { startStator } from "../support/stator.ts";
import type { Store } from "../support/store.ts";

/** A worker under load. */
export interface Contender {
  readonly name: string;
  /** Part of the requests it gets; the slow one would take most of the time otherwise. */
  readonly share: number;
  /** Whether it takes Dynamo's own programs. */
  readonly isPeer: boolean;
  start(store: Store, component: string): Child | Promise<Child>;
}

const FAST = ["--delay", "0"];
const model = TINY_MODEL;
// A line per request would be part of what is measured.
const capture = false;

/** All of them, the peers first: ratios are taken to them. */
export const CONTENDERS: readonly Contender[] = [
  {
    name: "dynamo-python",
    share: 0.25,
    isPeer: true,
    start: (store, component) => startPythonWorker(store, { model, component, args: FAST, capture }),
  },
  {
    name: "dynamo-rust",
    share: 1,
    isPeer: true,
    start: (store, component) => startRustWorker(store, { model, component, args: FAST, capture }),
  },
  { name: "stator-deno", share: 1, isPeer: false, start: sample("deno") },
  { name: "stator-bun", share: 1, isPeer: false, start: sample("bun") },
  { name: "stator-deno-burst", share: 1, isPeer: false, start: burst("deno") },
  { name: "stator-bun-burst", share: 1, isPeer: false, start: burst("bun") },
];

function sample(runtime: Runtime): Contender["start"] {
  return (store, component) => startStator(store, { runtime, args: ["--component", component, ...FAST], capture });
}

function burst(runtime: Runtime): Contender["start"] {
  const program = "test/bench/burst_engine.ts";
  return (store, component) => startStator(store, { runtime, program, args: ["--component", component], capture });
}
