/**
 * Discovery of a simulated world, with writes that fail or take their time.
 *
 * @module
 */
import type { Discovery } from "../../discovery/discovery.ts";
import { openFileDiscovery } from "../../discovery/file.ts";
import { MemStore, openMemDiscovery } from "../../discovery/mem.ts";
import { SILENT } from "../../observe/log.ts";
import type { Clock, Files, Random } from "../../platform/platform.ts";
import { failure } from "./connection.ts";
import type { History } from "./history.ts";
import { MemoryFiles } from "./memory_files.ts";
import type { Timeline } from "./timeline.ts";

/** Folder of the file backend. */
export const STORE_FOLDER = "/store";
/** Folder of the model. */
export const MODEL_FOLDER = "/model";

const WRITES: readonly (keyof Files)[] = ["write", "link", "rename", "remove", "touch"];
/** Time that a slow write takes. @unit milliseconds */
const SLOW_MS = 700;

/** A mem store whose writes can be made to fail. */
class FallibleMemStore extends MemStore {
  isFailing = false;

  override put(entry: Parameters<MemStore["put"]>[0]): void {
    if (this.isFailing) throw failure("EIO");
    super.put(entry);
  }
}

/** What is in the way of writes. */
export type StoreTrouble = "fails" | "slow";

/** Where the parties of a world find each other. What is published and withdrawn goes into the history. */
export class SimulatedStore {
  /** Store of the `mem` backend. */
  readonly mem: FallibleMemStore = new FallibleMemStore();
  /** Told when the worker's endpoint is published. */
  onEndpoint: () => void = () => {};
  /** Files of the `file` backend, and the model's. */
  readonly files: MemoryFiles;
  readonly #history: History;
  readonly #timeline: Timeline;
  readonly #published = new Set<string>();

  /** Makes a store with a model folder and no records. */
  constructor(timeline: Timeline, clock: Clock, history: History) {
    this.#timeline = timeline;
    this.#history = history;
    this.files = new MemoryFiles(clock);
    this.files.onChange = () => this.#compare();
    for (const bucket of ["v1/instances", "v1/mdc"] as const) {
      this.mem.watch(bucket, ({ kind, key }) => this.#note(`${bucket}/${key.path}`, kind === "put"));
    }
  }

  /** Puts the model's files in place. */
  async prepare(): Promise<void> {
    await this.files.makeDirectory(MODEL_FOLDER);
    for (const name of ["config.json", "tokenizer.json"]) {
      await this.files.write(`${MODEL_FOLDER}/${name}`, new TextEncoder().encode("{}"));
    }
  }

  /** Opens the store for a frontend. */
  open(backend: string, clock: Clock, random: Random): Promise<Discovery> {
    if (backend === "mem") return openMemDiscovery(this.mem, { random });
    const platform = { clock, random, files: this.files };
    return openFileDiscovery({ root: STORE_FOLDER, platform, log: SILENT });
  }

  /** Puts something in the way of writes, or takes it away. */
  trouble(kind: StoreTrouble | null): void {
    this.#history.add("world", kind === null ? "store works" : "store fails", kind === null ? {} : { detail: kind });
    this.mem.isFailing = kind === "fails";
    for (const write of WRITES) {
      this.files.failures.delete(write);
      this.files.hooks.delete(write);
      if (kind === "fails") this.files.failures.set(write, "EIO");
      if (kind === "slow") this.files.hooks.set(write, () => this.#pause());
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#timeline.after(SLOW_MS, resolve, "store"));
  }

  #compare(): void {
    const prefix = `${STORE_FOLDER}/v1/`;
    const there = this.files.paths.filter((path) => path.startsWith(prefix) && !path.includes("/.tmp_"));
    for (const path of there) this.#note(path, true);
    for (const path of [...this.#published]) {
      if (path.startsWith(prefix) && !there.includes(path)) this.#note(path, false);
    }
  }

  #note(path: string, isThere: boolean): void {
    if (this.#published.has(path) === isThere) return;
    if (isThere) this.#published.add(path);
    else this.#published.delete(path);
    const detail = kindOf(path);
    this.#history.add("store", isThere ? "published" : "withdrawn", { detail });
    if (isThere && detail === "endpoint") this.onEndpoint();
  }
}

/** What a record is about. */
function kindOf(path: string): string {
  if (path.includes("v1/mdc")) return "card";
  if (!path.includes("v1/instances")) return "event source";
  return isRecoveryPath(path) ? "recovery endpoint" : "endpoint";
}

/** Whether an instance is the endpoint where routers recover KV events, rather than the one that serves. */
export function isRecoveryPath(path: string): boolean {
  return decodeURIComponent(path).includes("/worker_kv_query_source_");
}
