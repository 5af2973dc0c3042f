/**
 * What a frontend knows of the workers that are there: cards and endpoints, joined.
 *
 * @module
 */
import type { Discovery, DiscoveryEvent } from "../discovery/discovery.ts";
import { type ModelCard, modelCardOf } from "../protocol/model_card.ts";
import { decodeInstance, decodeModel, type InstanceRecord } from "../protocol/record.ts";

export type { Discovery } from "../discovery/discovery.ts";

/** One worker that serves one model: a card and a live endpoint of the same name and id. */
export interface LiveWorker {
  /** Where to send requests. */
  readonly instance: InstanceRecord;
  /** What it serves. */
  readonly card: ModelCard;
}

/** A model clients may ask for, under one of its names. */
export interface LiveModel {
  /** The name clients use: the served name, an alias or the name of an adapter. */
  readonly name: string;
  /** Its workers, in the order in which they came; never empty. */
  readonly workers: readonly LiveWorker[];
}

/** Settings of {@linkcode watchInstances}. */
export interface WatchOptions {
  /** Only this model. @default every model */
  readonly name?: string;
  /** Called when an endpoint record goes, for `Client.forget`. */
  readonly left?: (instance: InstanceRecord) => void;
  /** Called with the reason when a record cannot be read; it is ignored then. */
  readonly unreadable?: (path: string, error: unknown) => void;
}

/** The live models. Disposing it ends the watch. */
export interface InstanceWatch extends AsyncDisposable {
  /** Models with at least one live worker, in the order in which they came. */
  readonly models: readonly LiveModel[];
  /** Every live endpoint, also those without a card. */
  readonly instances: readonly InstanceRecord[];
  /** A model by name. */
  find(name: string): LiveModel | undefined;
  /** The model's next worker, in turn. */
  pick(name: string): LiveWorker | undefined;
  /** Resolves once the model has a live worker; rejects when `signal` aborts. */
  whenLive(name: string, signal?: AbortSignal): Promise<LiveModel>;
}

/** Watches discovery and joins model cards with endpoints by namespace, component, endpoint and id. */
export async function watchInstances(discovery: Discovery, options: WatchOptions = {}): Promise<InstanceWatch> {
  const endpoints = new Map<string, InstanceRecord>();
  const cards = new Map<string, { readonly card: ModelCard; readonly endpoint: string }>();
  const turns = new Map<string, number>();
  const waiting = new Set<() => void>();
  let models: ReadonlyMap<string, LiveModel> | null = null;

  function join(): ReadonlyMap<string, LiveModel> {
    const joined = new Map<string, { readonly name: string; readonly workers: LiveWorker[] }>();
    for (const { card, endpoint } of cards.values()) {
      const instance = endpoints.get(endpoint);
      if (instance === undefined) continue;
      for (const name of [card.lora?.name ?? card.display_name, ...card.aliases ?? []]) {
        if (options.name !== undefined && options.name !== name) continue;
        const model = joined.get(name) ?? { name, workers: [] };
        model.workers.push({ instance, card });
        joined.set(name, model);
      }
    }
    return joined;
  }

  function changed(): void {
    models = null;
    for (const check of [...waiting]) check();
  }

  function current(): ReadonlyMap<string, LiveModel> {
    return models ??= join();
  }

  // A deletion is told by its key alone, so the key is what a record is remembered by.
  function onEndpoint(event: DiscoveryEvent): void {
    const { path } = event.key;
    if (event.kind === "delete") {
      const gone = endpoints.get(path);
      endpoints.delete(path);
      if (gone !== undefined) options.left?.(gone);
    } else read(path, () => endpoints.set(path, decodeInstance(event.value)));
    changed();
  }

  function onCard(event: DiscoveryEvent): void {
    const { path } = event.key;
    if (event.kind === "delete") cards.delete(path);
    else {
      read(path, () => {
        const record = decodeModel(event.value);
        const endpoint = path.split("/").slice(0, 4).join("/");
        cards.set(path, { card: modelCardOf(record), endpoint });
      });
    }
    changed();
  }

  function read(path: string, put: () => void): void {
    try {
      put();
    } catch (error) {
      options.unreadable?.(path, error);
    }
  }

  await using undo = new AsyncDisposableStack();
  undo.use(await discovery.watch("v1/mdc", onCard));
  undo.use(await discovery.watch("v1/instances", onEndpoint));
  const watches = undo.move();

  return {
    get models() {
      return [...current().values()];
    },
    get instances() {
      return [...endpoints.values()];
    },
    find: (name) => current().get(name),
    pick(name) {
      const workers = current().get(name)?.workers;
      if (workers === undefined) return undefined;
      const turn = turns.get(name) ?? 0;
      turns.set(name, turn + 1);
      return workers[turn % workers.length];
    },
    whenLive(name, signal) {
      return new Promise((resolve, reject) => {
        const done = () => {
          waiting.delete(check);
          signal?.removeEventListener("abort", abort);
        };
        const abort = () => {
          done();
          reject(signal?.reason);
        };
        const check = () => {
          const model = current().get(name);
          if (model === undefined) return;
          done();
          resolve(model);
        };
        if (signal?.aborted) return abort();
        waiting.add(check);
        signal?.addEventListener("abort", abort);
        check();
      });
    },
    [Symbol.asyncDispose]: () => watches.disposeAsync(),
  };
}
