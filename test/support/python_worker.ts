/**
 * Dynamo's Python sample worker as a child process.
 *
 * @module
 */
import { join } from "node:path";
import { PYTHON } from "./peers.ts";
import { type Child, start } from "./processes.ts";
import type { Store } from "./store.ts";

/** What to start. */
export interface PythonWorkerOptions {
  /** Model name or folder. */
  readonly model: string;
  readonly component?: string;
  /** Further arguments, such as `--delay 0`. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly capture?: boolean;
}

/** Starts the sample worker. It reads the discovery backend from its flag only. */
export function startPythonWorker(store: Store, options: PythonWorkerOptions): Child {
  const { model, component = "sample", args = [], env = {}, capture = true } = options;
  return start({
    name: "python worker",
    executable: PYTHON,
    args: [
      ...["-m", "dynamo.common.backend.sample_main", "--discovery-backend", "file"],
      ...["--model-name", model, "--component", component, ...args],
    ],
    env: { ...store.env, DYN_LOG: "info", HOME: join(store.path, "worker-home"), ...env },
    cwd: store.path,
    capture,
  });
}
