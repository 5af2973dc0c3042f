/**
 * A worker and a frontend in one process, joined by real sockets.
 *
 * @module
 */
import { type Client, ClientError, openClient } from "../client/client.ts";
import { watchInstances } from "../client/watch.ts";
import type { Engine } from "../engine/engine.ts";
import { type Log, SILENT } from "../observe/log.ts";
import type { Platform } from "../platform/platform.ts";
import { realPlatform } from "../platform/real.ts";
import type { GenerateChunk } from "../protocol/output.ts";
import type { GenerateRequest } from "../protocol/request.ts";
import type { InstanceRecord } from "../protocol/record.ts";
import { createWorkerOn } from "../serve.ts";
import { createMemStore, openDiscovery } from "../worker/backends.ts";
import type { WorkerOptions } from "../worker/options.ts";
import { resolveOptions } from "../worker/resolve_options.ts";
import type { WorkerOutcome } from "../worker/worker.ts";

export { ClientError };

/** Settings of {@linkcode startLoopback}. */
export interface LoopbackOptions {
  /** Settings of the worker; the environment does not count, and discovery is in memory. */
  readonly worker?: WorkerOptions;
  /** Where log lines go. @default nowhere */
  readonly log?: Log;
}

/** A request; what is left out is what a frontend sends when the client asks for nothing. */
export type LoopbackRequest = Partial<Omit<GenerateRequest, "token_ids" | "stop_conditions" | "sampling_options">> & {
  /** The prompt. */
  readonly token_ids: readonly number[] | Uint32Array;
  /** When to stop. */
  readonly stop_conditions?: Partial<GenerateRequest["stop_conditions"]>;
  /** How to sample. */
  readonly sampling_options?: Partial<GenerateRequest["sampling_options"]>;
};

/** What belongs to a request beside its body. */
export interface LoopbackRequestOptions {
  /** Request id. @default a random UUID */
  readonly id?: string;
  /** Gives the request up when it aborts, as a client that leaves does. */
  readonly signal?: AbortSignal;
  /** `x-dynamo-meta-*` entries. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Further headers, such as `traceparent`. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A running pair. Disposing it drops what runs and stops the worker, so that `cleanup` has run. */
export interface Loopback extends AsyncDisposable {
  /** Name of the model. */
  readonly modelName: string;
  /**
   * Sends a request; its chunks come in the loop, which throws a `ClientError` if the request fails. Leaving the loop
   * kills the request.
   */
  request(body: LoopbackRequest, options?: LoopbackRequestOptions): AsyncIterable<GenerateChunk>;
  /** Stops the worker in order: what runs may finish. */
  stop(): Promise<WorkerOutcome>;
}

/**
 * Runs an engine in a worker, with a frontend beside it.
 *
 * @throws {DynamoError} If the worker does not start.
 * @example
 * ```ts no-run
 * import { sampleEngine } from "@stator/worker/engines/sample";
 * import { startLoopback } from "@stator/worker/testing";
 *
 * await using loopback = await startLoopback(sampleEngine());
 * for await (const chunk of loopback.request({ token_ids: [1, 2, 3] })) console.log(chunk.token_ids);
 * ```
 */
export async function startLoopback(engine: Engine, options: LoopbackOptions = {}): Promise<Loopback> {
  const platform: Platform = { ...realPlatform, process: { ...realPlatform.process, env: {} } };
  const log = options.log ?? SILENT;
  const workerOptions: WorkerOptions = { ...options.worker, discoveryBackend: "mem" };
  const memStore = createMemStore();
  await using undo = new AsyncDisposableStack();
  const worker = createWorkerOn(platform, engine, workerOptions, memStore, log);
  undo.defer(async () => void await worker.stop());
  const { modelName, instanceId } = await worker.start();
  const resolved = resolveOptions({ ...workerOptions }, {});
  const discovery = undo.use(await openDiscovery({ platform, options: resolved, log, memStore }));
  const client = undo.use(await openClient({ ...platform, log }));
  const instances = undo.use(await watchInstances(discovery, { left: (instance) => client.forget(instance) }));
  const instance = (await instances.whenLive(modelName)).workers.find((one) => one.instance.instance_id === instanceId)!
    .instance;
  const running = undo.move();
  return {
    modelName,
    request: (body, requestOptions = {}) => chunks(client, instance, { model: modelName, ...body }, requestOptions),
    stop: () => worker.stop(),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

async function* chunks(
  client: Client,
  instance: InstanceRecord,
  body: LoopbackRequest,
  options: LoopbackRequestOptions,
): AsyncGenerator<GenerateChunk, void> {
  const empty = { stop_conditions: {}, sampling_options: {}, output_options: {} };
  const token_ids = [...body.token_ids];
  const stream = await client.send(instance, { body: { ...empty, ...body, token_ids }, ...options });
  for await (const { data } of stream) {
    if (data !== undefined && data !== null) yield data;
  }
}
