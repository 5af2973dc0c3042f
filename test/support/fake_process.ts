/**
 * A process that is not ours.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Platform, Process } from "../../src/platform/platform.ts";
import { platformWith } from "./worker_rig.ts";

/** What a test sees of it, and does with it. */
export interface FakeProcess {
  readonly platform: Platform;
  /** Lines on standard output. */
  readonly out: string[];
  /** Lines on standard error. */
  readonly errors: string[];
  /** Sends a signal, or a `fault` with its value. */
  fire(name: string, value?: unknown): void;
  /** How many listen for signals and faults. */
  listeners(): number;
  /** Whether a worker serves. */
  serving(): boolean;
}

/** A process that keeps what is printed and gets its signals from the test. */
export function fakeProcess(env: Record<string, string> = {}): FakeProcess {
  const out: string[] = [];
  const errors: string[] = [];
  const handlers = new Map<string, Set<(value?: unknown) => void>>();
  const listen = (name: string, run: (value?: unknown) => void): Disposable => {
    const runs = handlers.get(name) ?? new Set();
    handlers.set(name, runs.add(run));
    return { [Symbol.dispose]: () => void runs.delete(run) };
  };
  const process: Process = {
    args: [],
    env,
    onSignal: (signal, run) => listen(signal, run),
    onFault: (run) => listen("fault", run),
    exit: () => assert.fail("exit was called"),
    print: (line) => void out.push(line),
    printError: (line) => void errors.push(line),
  };
  const fire = (name: string, value?: unknown) => [...handlers.get(name) ?? []].forEach((run) => run(value));
  const listeners = () => [...handlers.values()].reduce((sum, runs) => sum + runs.size, 0);
  const platform: Platform = platformWith({ process });
  return { platform, out, errors, fire, listeners, serving: () => errors.some((line) => line.includes("Serving")) };
}
