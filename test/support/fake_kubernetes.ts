/**
 * An API server of Kubernetes, as far as discovery goes: resources of workers, endpoint slices, pods, and watches.
 *
 * It answers requests of the web's own type, so that it can be called in memory and served for real.
 */
import type { HttpAnswer, HttpClient, HttpClients, HttpRequest, TlsMaterial } from "../../src/platform/platform.ts";
import { parseJson, stringifyJson } from "../../src/protocol/payload.ts";

// deno-lint-ignore no-explicit-any -- objects of a cluster are looked at, not used
type Item = any;

interface Stream {
  readonly collection: string;
  readonly labels: string | null;
  readonly send: (line: string) => void;
  readonly end: () => void;
}

/** What was asked, for tests to look at. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Headers;
  readonly body: string;
}

const RESOURCE = /^(\/.*\/(?:dynamoworkermetadatas|endpointslices|pods))(?:\/([^/]+))?$/;
const LABELLED = { "nvidia.com/dynamo-discovery-enabled": "true" };

/** A cluster of one namespace. */
export class FakeKubernetes {
  readonly #items = new Map<string, Map<string, Item>>();
  readonly #streams = new Set<Stream>();
  readonly namespace: string;
  /** Everything that was asked, in order. */
  readonly requests: SeenRequest[] = [];
  /** Answers instead of the cluster's own, first in, first out. */
  readonly failures: (() => Response | Promise<Response>)[] = [];
  #version = 100;
  /** Versions below this one are forgotten: watches from there are refused. */
  oldest = 0;

  constructor(namespace = "default") {
    this.namespace = namespace;
  }

  /** Makes a pod, ready or not; a slice of its own says so. */
  setPod(name: string, uid: string, ready: boolean, containers: readonly string[] = ["main"]): void {
    const metadata = { name, uid, namespace: this.namespace, labels: LABELLED };
    const containerStatuses = containers.map((container) => ({ name: container, ready }));
    this.#put(this.#pods, { metadata, status: { containerStatuses } });
    const targetRef = { kind: "Pod", name, uid };
    const endpoints = [{ addresses: ["127.0.0.1"], conditions: { ready }, targetRef }];
    this.#put(this.#slices, {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      addressType: "IPv4",
      metadata: { name: `slice-${name}`, namespace: this.namespace, labels: LABELLED },
      endpoints,
    });
  }

  /** A worker's resource; `undefined` if there is none. */
  resource(name: string): Item {
    return this.#collection(this.#resources).get(name);
  }

  /** Ends all streams, as a server does when their time is up. */
  endStreams(): void {
    for (const stream of [...this.#streams]) stream.end();
  }

  /** Number of streams that are open. */
  get streams(): number {
    return this.#streams.size;
  }

  /** Answers a request. */
  async handle(request: Request): Promise<Response> {
    const { pathname, searchParams, search } = new URL(request.url);
    const body = await request.text();
    this.requests.push({ method: request.method, path: pathname, query: search, headers: request.headers, body });
    const failure = this.failures.shift();
    if (failure !== undefined) return await failure();
    const [, collection, name] = RESOURCE.exec(pathname) ?? [];
    if (collection === undefined) return status(404, "the server could not find the requested resource");
    if (request.method === "GET" && searchParams.get("watch") === "true") {
      return this.#watch(collection, searchParams, request.signal);
    }
    if (request.method === "GET") return this.#list(collection, searchParams);
    if (request.method === "PATCH") return answer(this.#put(collection, parseJson(body) as Item));
    if (!this.#collection(collection).has(name!)) return status(404, `"${name}" not found`);
    this.#remove(collection, name!);
    return answer({ kind: "Status", status: "Success" });
  }

  get #resources(): string {
    return `/apis/nvidia.com/v1alpha1/namespaces/${this.namespace}/dynamoworkermetadatas`;
  }

  get #slices(): string {
    return `/apis/discovery.k8s.io/v1/namespaces/${this.namespace}/endpointslices`;
  }

  get #pods(): string {
    return `/api/v1/namespaces/${this.namespace}/pods`;
  }

  #collection(path: string): Map<string, Item> {
    const items = this.#items.get(path) ?? new Map<string, Item>();
    this.#items.set(path, items);
    return items;
  }

  #put(collection: string, item: Item): Item {
    const items = this.#collection(collection);
    const { name } = item.metadata;
    const type = items.has(name) ? "MODIFIED" : "ADDED";
    const metadata = { namespace: this.namespace, ...item.metadata, resourceVersion: `${++this.#version}` };
    const stored = { ...item, metadata };
    items.set(name, stored);
    this.#send(collection, type, stored);
    return stored;
  }

  #remove(collection: string, name: string): void {
    const items = this.#collection(collection);
    const item = items.get(name);
    items.delete(name);
    const metadata = { ...item.metadata, resourceVersion: `${++this.#version}` };
    this.#send(collection, "DELETED", { ...item, metadata });
  }

  #send(collection: string, type: string, object: Item): void {
    for (const stream of [...this.#streams]) {
      if (stream.collection === collection && isLabelled(object, stream.labels)) {
        stream.send(stringifyJson({ type, object }));
      }
    }
  }

  #list(collection: string, query: URLSearchParams): Response {
    const all = [...this.#collection(collection).values()].filter((item) =>
      isLabelled(item, query.get("labelSelector"))
    );
    const from = Number(query.get("continue") ?? 0);
    const limit = Number(query.get("limit") ?? all.length);
    const next = from + limit < all.length ? { continue: `${from + limit}` } : {};
    const kind = collection.endsWith("pods")
      ? "PodList"
      : collection.endsWith("slices")
      ? "EndpointSliceList"
      : "DynamoWorkerMetadataList";
    const apiVersion = collection.replace(/^\/apis?\//, "").replace(/\/namespaces.*/, "");
    const metadata = { resourceVersion: `${this.#version}`, ...next };
    return answer({ kind, apiVersion, metadata, items: all.slice(from, from + limit) });
  }

  #watch(collection: string, query: URLSearchParams, signal: AbortSignal): Response {
    const version = Number(query.get("resourceVersion"));
    const streams = this.#streams;
    let stream: Stream;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        const send = (line: string): void => controller.enqueue(new TextEncoder().encode(`${line}\n`));
        const end = (): void => {
          if (streams.delete(stream)) controller.close();
        };
        stream = { collection, labels: query.get("labelSelector"), send, end };
        streams.add(stream);
        signal.addEventListener("abort", () => void streams.delete(stream));
        if (version < this.oldest) {
          send(
            stringifyJson({
              type: "ERROR",
              object: { kind: "Status", code: 410, message: "too old resource version" },
            }),
          );
          return end();
        }
        for (const object of this.#collection(collection).values()) {
          const isNew = Number(object.metadata.resourceVersion) > version;
          if (isNew && isLabelled(object, stream.labels)) send(stringifyJson({ type: "ADDED", object }));
        }
      },
      cancel: () => void streams.delete(stream),
    });
    return new Response(body, { headers: { "content-type": "application/json" } });
  }
}

/** Clients that call it without a network. */
export class FakeHttpClients implements HttpClients {
  readonly #handle: (request: Request) => Promise<Response>;
  /** What each client was opened with. */
  readonly opened: TlsMaterial[] = [];
  /** Clients that are open. */
  openCount = 0;

  constructor(handle: (request: Request) => Promise<Response>) {
    this.#handle = handle;
  }

  open(tls: TlsMaterial = {}): HttpClient {
    this.opened.push(tls);
    this.openCount++;
    return {
      send: (request) => this.#send(request),
      [Symbol.dispose]: () => void this.openCount--,
    };
  }

  async #send({ url, signal, ...init }: HttpRequest): Promise<HttpAnswer> {
    const gone = new Promise<never>((_, reject) => {
      if (signal.aborted) reject(signal.reason);
      signal.addEventListener("abort", () => reject(signal.reason));
    });
    gone.catch(() => {});
    const response = await Promise.race([this.#handle(new Request(url, { ...init, signal })), gone]);
    const body = response.body!;
    return {
      status: response.status,
      contentType: (response.headers.get("content-type") ?? "").split(";")[0]!,
      body: (async function* () {
        const reader = body.getReader();
        try {
          for (;;) {
            const { done, value } = await Promise.race([reader.read(), gone]);
            if (done) return;
            yield value;
          }
        } finally {
          await reader.cancel().catch(() => {});
        }
      })(),
    };
  }
}

function isLabelled(item: Item, selector: string | null): boolean {
  if (selector === null) return true;
  const [name, value] = selector.split("=");
  return item.metadata.labels?.[name!] === value;
}

function answer(value: unknown): Response {
  return new Response(stringifyJson(value), { headers: { "content-type": "application/json" } });
}

/** A refusal as the API server words it. */
export function status(code: number, message: string): Response {
  const body = { kind: "Status", apiVersion: "v1", status: "Failure", message, code };
  return new Response(JSON.stringify(body), { status: code, headers: { "content-type": "application/json" } });
}

/** Files at fixed places, and no others. */
export function mounted(files: Readonly<Record<string, string>>): { read(path: string): Promise<Uint8Array> } {
  return {
    read: (path) => {
      const text = files[path];
      return text === undefined
        ? Promise.reject(new Error(`ENOENT: ${path}`))
        : Promise.resolve(new TextEncoder().encode(text));
    },
  };
}

/** A configuration with one cluster and nobody signed in. */
export function kubeconfig(server: string): string {
  return `
current-context: test
contexts: [{ name: test, context: { cluster: here } }]
clusters: [{ name: here, cluster: { server: "${server}" } }]
`;
}
