/**
 * The sample engine on Dynamo's own Rust worker crate, as a child process; sources in `peers/rust`.
 *
 * @module
 */
import { join } from "node:path";
import { unpackBinary } from "./peers.ts";
import { type Child, start } from "./processes.ts";
import type { Store } from "./store.ts";

/** What to start. */
export interface RustWorkerOptions {
  /** Model name or folder. */
  readonly model: string;
  readonly component?: string;
  /** Further arguments, such as `--delay 0`. */
  readonly args?: readonly string[];
  readonly capture?: boolean;
}

/** Starts the Rust sample worker. */
export async function startRustWorker(store: Store, options: RustWorkerOptions): Promise<Child> {
  const { model, component = "sample", args = [], capture = true } = options;
  return start({
    name: "rust worker",
    executable: await unpackBinary("rust-sample"),
    args: ["--model-name", model, "--component", component, ...args],
    env: { ...store.env, DYN_LOG: "info", HOME: join(store.path, "worker-home") },
    cwd: store.path,
    capture,
  });
}
