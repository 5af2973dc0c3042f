/**
 * A Stator worker as a child process.
 *
 * @module
 */
import { join } from "node:path";
import process from "node:process";
import { REPOSITORY, TINY_MODEL } from "./peers.ts";
import { type Child, start } from "./processes.ts";
import { executable, RUN, type Runtime, runtimeUnderTest } from "./runtimes.ts";
import type { Store } from "./store.ts";

/** What to start. */
export interface StatorOptions {
  /** Program, relative to the repository. @default "main.ts" */
  readonly program?: string;
  /** @default the runtime under test */
  readonly runtime?: Runtime;
  /** Model name or folder; `null` names none. @default the tiny model */
  readonly model?: string | null;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly capture?: boolean;
}

/** A worker. */
export interface Stator extends Child {
  /** Waits for the line a worker prints once it is registered; resolves when that line was seen. */
  ready(timeoutMs?: number): Promise<void>;
}

/** Starts a worker on a store; it is not ready yet. */
export async function startStator(store: Store, options: StatorOptions = {}): Promise<Stator> {
  const { program = "main.ts", runtime = runtimeUnderTest(), model = TINY_MODEL, args = [], env = {} } = options;
  const child = start({
    name: `stator on ${runtime}`,
    executable: await executable(runtime),
    args: [...RUN[runtime], join(REPOSITORY, program), ...(model === null ? [] : ["--model-name", model]), ...args],
    // The home of the store would hide the runtimes' module caches.
    env: { ...store.env, HOME: process.env.HOME ?? store.path, DYN_LOG: "info", ...env },
    cwd: store.path,
    capture: options.capture ?? true,
  });
  return Object.assign(child, {
    ready: async (timeoutMs = 30_000) => void await child.waitFor(/\bServing\b/, timeoutMs),
  });
}

/** Starts a worker and waits until it is ready. */
export async function startReadyStator(store: Store, options: StatorOptions = {}): Promise<Stator> {
  const worker = await startStator(store, options);
  try {
    await worker.ready();
  } catch (error) {
    await worker[Symbol.asyncDispose]();
    throw error;
  }
  return worker;
}
