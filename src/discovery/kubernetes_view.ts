/**
 * The records of a namespace that count: those of resources whose pod is ready.
 *
 * @module
 */
import type { Log } from "../observe/log.ts";
import type { Clock } from "../platform/platform.ts";
import type { DiscoveryBucket } from "../protocol/record.ts";
import type { DiscoveryEvent } from "./discovery.ts";
import type { KubernetesApi } from "./kubernetes_api.ts";
import { openObjects } from "./kubernetes_objects.ts";
import { type KubernetesPod, resourceOf } from "./kubernetes_pod.ts";
import {
  decodeResource,
  type KubernetesRecord,
  object,
  resourcesPath,
  type WorkerMetadata,
} from "./kubernetes_resource.ts";

/** What a view works with. */
export interface KubernetesViewParts {
  /** Calls. */
  readonly api: KubernetesApi;
  /** Whose namespace, and what is ready in it: pods or containers. */
  readonly pod: KubernetesPod;
  /** Time. */
  readonly clock: Clock;
  /** Log. */
  readonly log: Log;
}

/** What has this label may be found. @source dynamo-runtime 1.6.1, `discovery/kube/daemon.rs` */
const LABELS = "nvidia.com/dynamo-discovery-enabled=true";

/** A resource that may be looked at: its name and the uid of its pod. */
type Ready = readonly [resource: string, podUid: string];

interface Watch {
  readonly bucket: DiscoveryBucket;
  readonly report: (event: DiscoveryEvent) => void;
  /** What was reported last, by path. */
  readonly seen: Map<string, KubernetesRecord>;
}

/** Watches pods and resources until disposed. @throws {KubernetesError} If they cannot be listed. */
export async function openKubernetesView(parts: KubernetesViewParts): Promise<KubernetesView> {
  const view = new KubernetesView();
  await view.open(parts);
  return view;
}

/** A view; open it with {@linkcode openKubernetesView}. */
export class KubernetesView implements AsyncDisposable {
  readonly #workers = new Map<string, WorkerMetadata>();
  readonly #ready = new Map<string, readonly Ready[]>();
  readonly #watches = new Set<Watch>();
  readonly #undo = new AsyncDisposableStack();

  /** Begins to watch. */
  async open({ api, pod, clock, log }: KubernetesViewParts): Promise<void> {
    const namespace = encodeURIComponent(pod.namespace);
    const isPod = pod.mode === "pod";
    try {
      this.#undo.use(
        await openObjects({
          ...{ api, clock, log, labels: LABELS },
          path: isPod
            ? `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices`
            : `/api/v1/namespaces/${namespace}/pods`,
          ...this.#into(this.#ready, (text) => isPod ? readyPods(text) : readyContainers(text)),
        }),
      );
      this.#undo.use(
        await openObjects({
          ...{ api, clock, log, path: resourcesPath(pod.namespace) },
          ...this.#into(this.#workers, decodeResource),
        }),
      );
    } catch (error) {
      await this.#undo.disposeAsync();
      throw error;
    }
  }

  /** The records of a bucket. */
  list(bucket: DiscoveryBucket): KubernetesRecord[] {
    return [...this.#ready.values()].flat().flatMap(([resource, podUid]) => {
      const worker = this.#workers.get(resource);
      // A pod of the same name before this one left its resource behind.
      return worker?.podUid === podUid ? worker.records.filter(({ key }) => key.bucket === bucket) : [];
    });
  }

  /** Reports what is there, then each change, until disposed. */
  watch(bucket: DiscoveryBucket, report: (event: DiscoveryEvent) => void): Disposable {
    const watch: Watch = { bucket, report, seen: new Map() };
    this.#watches.add(watch);
    this.#report(watch);
    return { [Symbol.dispose]: () => void this.#watches.delete(watch) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watches.clear();
    await this.#undo.disposeAsync();
  }

  /** Keeps what is read of objects, and reports. */
  #into<T>(map: Map<string, T>, read: (text: string) => T | null): {
    replaced(objects: ReadonlyMap<string, string>): void;
    changed(name: string, text: string | null): void;
  } {
    const put = (name: string, text: string | null): void => {
      const value = text === null ? null : read(text);
      if (value === null) map.delete(name);
      else map.set(name, value);
    };
    return {
      replaced: (objects) => {
        map.clear();
        for (const [name, text] of objects) put(name, text);
        for (const watch of [...this.#watches]) this.#report(watch);
      },
      changed: (name, text) => {
        put(name, text);
        for (const watch of [...this.#watches]) this.#report(watch);
      },
    };
  }

  #report({ bucket, report, seen }: Watch): void {
    const now = new Map(this.list(bucket).map((record) => [record.key.path, record]));
    for (const [path, { key }] of [...seen]) {
      if (now.has(path)) continue;
      seen.delete(path);
      report({ kind: "delete", key });
    }
    for (const [path, record] of now) {
      if (seen.get(path)?.value === record.value) continue;
      seen.set(path, record);
      report({ kind: "put", ...record });
    }
  }
}

/** @source dynamo-runtime 1.6.1, `discovery/kube/utils.rs`, `extract_endpoint_info` */
function readyPods(text: string): readonly Ready[] {
  const { endpoints } = object(JSON.parse(text));
  return (Array.isArray(endpoints) ? endpoints.map(object) : []).flatMap(({ conditions, targetRef }) => {
    const { name, uid } = object(targetRef);
    const isReady = object(conditions).ready === true && typeof name === "string" && typeof uid === "string";
    return isReady && name !== "" && uid !== "" ? [[name, uid] as const] : [];
  });
}

/** @source dynamo-runtime 1.6.1, `discovery/kube/utils.rs`, `extract_ready_containers` */
function readyContainers(text: string): readonly Ready[] {
  const { metadata, status } = object(JSON.parse(text));
  const { name, uid } = object(metadata);
  const { containerStatuses } = object(status);
  if (typeof name !== "string" || typeof uid !== "string" || uid === "") return [];
  return (Array.isArray(containerStatuses) ? containerStatuses.map(object) : [])
    .filter(({ ready }) => ready === true)
    .map((container) => [resourceOf(name, String(container.name)), uid]);
}
