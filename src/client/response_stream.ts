/**
 * A response as an async iterable.
 *
 * @module
 */
import type { ResponseHandlers, ResponseItem, StartedRequest } from "./call.ts";
import { cancelled, type ClientError } from "./client_error.ts";

/**
 * The items of one response, for one loop.
 *
 * The loop ends in order when the response came whole or was stopped or killed, and throws a `ClientError` otherwise,
 * after the items that came before the failure. Leaving the loop early kills the request.
 */
export interface ResponseStream extends AsyncIterable<ResponseItem> {
  /** Request id. */
  readonly id: string;
  /** Asks the worker to finish; what it still sends is delivered. */
  stop(): void;
  /** Drops the request; the loop ends after the items that are already here. */
  kill(): void;
}

/** Items that may wait before reading stops. @source dynamo-runtime 1.6.1, tcp response server: 64 per stream */
const HIGH_WATER_ITEMS = 64;
const LOW_WATER_ITEMS = HIGH_WATER_ITEMS / 2;
const DONE: IteratorResult<ResponseItem> = { done: true, value: undefined };

/** Starts a request whose items are queued; resolves once the engine has it. */
export function openStream(
  start: (handlers: ResponseHandlers) => StartedRequest,
  signal?: AbortSignal,
): Promise<ResponseStream> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(cancelled("request aborted"));
    const queue: ResponseItem[] = [];
    let head = 0;
    let isPaused = false;
    let isOpen = false;
    let end: { readonly error: ClientError | null } | null = null;
    let waiting: PromiseWithResolvers<IteratorResult<ResponseItem>> | null = null;

    const onAbort = () => request.kill(cancelled("request aborted"));
    const request = start({
      opened() {
        isOpen = true;
        resolve(stream);
      },
      item(item) {
        if (waiting !== null) {
          const { resolve } = waiting;
          waiting = null;
          return resolve({ done: false, value: item });
        }
        queue.push(item);
        if (queue.length - head > HIGH_WATER_ITEMS && !isPaused) {
          isPaused = true;
          request.setReading(false);
        }
      },
      ended(error) {
        signal?.removeEventListener("abort", onAbort);
        end = { error };
        if (!isOpen) return reject(error ?? cancelled("request ended before it was answered"));
        if (waiting === null) return;
        if (error === null) waiting.resolve(DONE);
        else waiting.reject(error);
        waiting = null;
      },
    });

    const next = (): Promise<IteratorResult<ResponseItem>> => {
      const item = queue[head];
      if (item !== undefined) {
        head++;
        // Taken items are cut off now and then: shifting each would move the rest every time.
        if (head >= LOW_WATER_ITEMS || head === queue.length) {
          queue.splice(0, head);
          head = 0;
        }
        if (isPaused && queue.length - head < LOW_WATER_ITEMS) {
          isPaused = false;
          request.setReading(true);
        }
        return Promise.resolve({ done: false, value: item });
      }
      if (end === null) return (waiting ??= Promise.withResolvers()).promise;
      const { error } = end;
      end = { error: null };
      return error === null ? Promise.resolve(DONE) : Promise.reject(error);
    };
    const iterator: AsyncIterator<ResponseItem> = {
      next,
      return() {
        queue.length = head = 0;
        request.kill();
        return Promise.resolve(DONE);
      },
    };
    const stream: ResponseStream = {
      id: request.id,
      stop: () => request.stop(),
      kill: () => request.kill(),
      [Symbol.asyncIterator]: () => iterator,
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    if (end !== null) signal?.removeEventListener("abort", onAbort);
  });
}
