/**
 * The objects of one kind in a namespace, kept as they are in the cluster.
 *
 * @module
 */
import type { Log } from "../observe/log.ts";
import { type Clock, delay } from "../platform/platform.ts";
import { parseJson, stringifyJson } from "../protocol/payload.ts";
import { type KubernetesApi, KubernetesError } from "./kubernetes_api.ts";
import { object } from "./kubernetes_resource.ts";

/** Which objects, and who is told. */
export interface KubernetesObjectsParts {
  /** Calls. */
  readonly api: KubernetesApi;
  /** Path of the collection. */
  readonly path: string;
  /** Label selector. @default all objects */
  readonly labels?: string;
  /** Time. */
  readonly clock: Clock;
  /** Log. */
  readonly log: Log;
  /** Told of all objects at first and after each break, by name, as JSON. */
  readonly replaced: (objects: ReadonlyMap<string, string>) => void;
  /** Told of each change; `null` if the object is gone. */
  readonly changed: (name: string, text: string | null) => void;
}

/** Objects of one page. */
const PAGE = 500;
/** How long the server keeps a stream open. @unit seconds @source kube 0.99, `watcher` */
const STREAM_SECONDS = 290;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5000;

/** Lists them and follows their changes until disposed. @throws {KubernetesError} If they cannot be listed. */
export async function openObjects(parts: KubernetesObjectsParts): Promise<AsyncDisposable> {
  const objects = new KubernetesObjects(parts);
  await objects.open();
  return objects;
}

class KubernetesObjects implements AsyncDisposable {
  readonly #parts: KubernetesObjectsParts;
  readonly #stop = new AbortController();
  #version = "";
  #running: Promise<void> = Promise.resolve();
  #isBreakTold = false;

  constructor(parts: KubernetesObjectsParts) {
    this.#parts = parts;
  }

  async open(): Promise<void> {
    await this.#list();
    this.#running = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    for (let pauseMs = FIRST_PAUSE_MS, isListed = true; !signal.aborted;) {
      try {
        if (!isListed) await this.#list();
        isListed = true;
        await this.#follow();
        // The server ends streams when their time is up; the next one begins where it ended.
        pauseMs = FIRST_PAUSE_MS;
        this.#isBreakTold = false;
        await delay(this.#parts.clock, FIRST_PAUSE_MS, signal);
        continue;
      } catch (error) {
        if (signal.aborted) return;
        this.#tell(error as Error);
        isListed = false;
      }
      await delay(this.#parts.clock, pauseMs, signal);
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    }
  }

  async #list(): Promise<void> {
    const { api, path } = this.#parts;
    const found = new Map<string, string>();
    let next: unknown = undefined;
    do {
      const query = { limit: `${PAGE}`, ...(typeof next === "string" ? { continue: next } : {}) };
      const page = object(parseJson(await api.call({ method: "GET", path: path + this.#query(query) })));
      const metadata = object(page.metadata);
      for (const item of Array.isArray(page.items) ? page.items : []) found.set(nameOf(item), stringifyJson(item));
      this.#version = String(metadata.resourceVersion ?? "");
      next = metadata.continue;
    } while (typeof next === "string" && next !== "");
    if (!this.#stop.signal.aborted) this.#parts.replaced(found);
  }

  async #follow(): Promise<void> {
    const query = this.#query({
      watch: "true",
      timeoutSeconds: `${STREAM_SECONDS}`,
      allowWatchBookmarks: "true",
      resourceVersion: this.#version,
    });
    for await (const line of this.#parts.api.stream(this.#parts.path + query, this.#stop.signal)) {
      const { type, object: item } = object(parseJson(line));
      if (type === "ERROR") throw new KubernetesError(Number(object(item).code), String(object(item).message));
      this.#version = String(object(object(item).metadata).resourceVersion ?? this.#version);
      if (type === "BOOKMARK") continue;
      this.#parts.changed(nameOf(item), type === "DELETED" ? null : stringifyJson(item));
    }
  }

  #query(fields: Readonly<Record<string, string>>): string {
    const { labels } = this.#parts;
    return `?${new URLSearchParams({ ...fields, ...(labels === undefined ? {} : { labelSelector: labels }) })}`;
  }

  /** Says once what broke, until it works again. */
  #tell(error: Error): void {
    // Too long ago: the server has forgotten what changed since, and says so in this way.
    if (error instanceof KubernetesError && error.status === 410) return;
    if (!this.#isBreakTold) this.#parts.log.warn("Kubernetes watch broke off, it is tried again", { error });
    this.#isBreakTold = true;
  }
}

function nameOf(item: unknown): string {
  return String(object(object(item).metadata).name ?? "");
}
