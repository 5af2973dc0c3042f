/**
 * Discovery in a Kubernetes cluster: all records of a worker stand in one custom resource that belongs to its pod.
 *
 * @module
 */
import type { Log } from "../observe/log.ts";
import type { Clock, Files, HttpClients } from "../platform/platform.ts";
import { invalidArgument } from "../protocol/error.ts";
import type { DiscoveryBucket, DiscoveryKey } from "../protocol/record.ts";
import type { Discovery, DiscoveryEvent } from "./discovery.ts";
import { KubernetesApi, KubernetesError } from "./kubernetes_api.ts";
import { readKubernetesServer } from "./kubernetes_config.ts";
import { instanceIdOf, type KubernetesPod, readPod } from "./kubernetes_pod.ts";
import { encodeMaps, encodeResource, type KubernetesRecord, resourcesPath } from "./kubernetes_resource.ts";
import { type KubernetesView, openKubernetesView } from "./kubernetes_view.ts";

/** Settings of the kubernetes backend. */
export interface KubernetesDiscoveryOptions {
  /** Environment: the pod, and the way to its cluster. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Files, as mounted into the pod. */
  readonly files: Pick<Files, "read">;
  /** Clients of the API server. */
  readonly httpClients: HttpClients | undefined;
  /** Time. */
  readonly clock: Clock;
  /** Log. */
  readonly log: Log;
}

/** Whose fields are written by workers. @source dynamo-runtime 1.6.1, `discovery/kube/crd.rs`, `FIELD_MANAGER` */
const FIELD_MANAGER = "dynamo-worker";

/**
 * Opens the cluster that this process runs in.
 *
 * Nothing is renewed: records count while the pod is ready, and the resource goes with the pod.
 *
 * @throws {DynamoError} `InvalidArgument` if the pod or the cluster is not known.
 * @throws {KubernetesError} If what an earlier life of this container left cannot be removed.
 * @source dynamo-runtime 1.6.1, `discovery/kube.rs`
 */
export async function openKubernetesDiscovery(options: KubernetesDiscoveryOptions): Promise<Discovery> {
  const { env, files, httpClients, clock, log } = options;
  if (httpClients === undefined) throw invalidArgument("kubernetes discovery is not there: there is no HTTP client");
  const pod = await readPod(env, files, log);
  const server = await readKubernetesServer({ env, files });
  const api = new KubernetesApi({ server, http: httpClients.open(server.tls), clock });
  const discovery = new KubernetesDiscovery(pod, api, options);
  try {
    if (pod.mode === "container") await discovery.removeStale();
  } catch (error) {
    api[Symbol.dispose]();
    throw error;
  }
  return discovery;
}

class KubernetesDiscovery implements Discovery {
  readonly name = "kubernetes";
  readonly instanceId: bigint;
  readonly #pod: KubernetesPod;
  readonly #api: KubernetesApi;
  readonly #options: KubernetesDiscoveryOptions;
  readonly #path: string;
  #owned: ReadonlyMap<string, KubernetesRecord> = new Map();
  #view: Promise<KubernetesView> | null = null;
  #tail: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(pod: KubernetesPod, api: KubernetesApi, options: KubernetesDiscoveryOptions) {
    this.#pod = pod;
    this.#api = api;
    this.#options = options;
    this.#path = `${resourcesPath(pod.namespace)}/${encodeURIComponent(pod.resource)}`;
    this.instanceId = instanceIdOf(pod.resource);
  }

  put(key: DiscoveryKey, value: string): Promise<void> {
    return this.#change((records) => records.set(nameOf(key), { key, value }));
  }

  delete(key: DiscoveryKey): Promise<void> {
    return this.#change((records) => records.delete(nameOf(key)));
  }

  metadata(): string {
    return encodeMaps([...this.#owned.values()]);
  }

  async list(bucket: DiscoveryBucket): Promise<KubernetesRecord[]> {
    return (await this.#opened()).list(bucket);
  }

  async watch(bucket: DiscoveryBucket, report: (event: DiscoveryEvent) => void): Promise<AsyncDisposable> {
    const watch = (await this.#opened()).watch(bucket, report);
    return { [Symbol.asyncDispose]: () => Promise.resolve(watch[Symbol.dispose]()) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    const ended = this.#owned.size === 0 ? Promise.resolve() : this.#change((records) => records.clear());
    this.#isClosed = true;
    await ended.catch((error) => this.#options.log.warn("Cannot empty the worker's resource", { error }));
    await this.#tail;
    await (await this.#view?.catch(() => null))?.[Symbol.asyncDispose]();
    this.#api[Symbol.dispose]();
  }

  /** Removes what this container left when it ended the last time: its pod lives on, so that nobody else does. */
  async removeStale(): Promise<void> {
    try {
      await this.#api.call({ method: "DELETE", path: this.#path });
    } catch (error) {
      if (!(error instanceof KubernetesError) || error.status !== 404) throw error;
    }
  }

  /** Writes all records, one change after the other; a change that is refused has not happened. */
  #change(change: (records: Map<string, KubernetesRecord>) => unknown): Promise<void> {
    if (this.#isClosed) return Promise.reject(new Error("Cannot use kubernetes discovery: it is closed"));
    const result = this.#tail.then(async () => {
      const records = new Map(this.#owned);
      change(records);
      await this.#api.call({
        method: "PATCH",
        path: `${this.#path}?force=true&fieldManager=${FIELD_MANAGER}`,
        contentType: "application/apply-patch+yaml",
        body: encodeResource(this.#pod, [...records.values()]),
      });
      this.#owned = records;
    });
    this.#tail = result.catch(() => {});
    return result;
  }

  #opened(): Promise<KubernetesView> {
    if (this.#isClosed) return Promise.reject(new Error("Cannot use kubernetes discovery: it is closed"));
    if (this.#view !== null) return this.#view;
    const { clock, log } = this.#options;
    const opening = openKubernetesView({ api: this.#api, pod: this.#pod, clock, log });
    // A failure is the caller's to hear; the next one may have more luck.
    opening.catch(() => this.#view = null);
    return this.#view = opening;
  }
}

function nameOf({ bucket, path }: DiscoveryKey): string {
  return `${bucket}/${path}`;
}
