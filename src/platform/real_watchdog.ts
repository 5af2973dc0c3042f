/**
 * The watchdog thread, over the web's `Worker`, which starts faster than that of `node:worker_threads`.
 *
 * @module
 */
import { clearInterval, clearTimeout, setInterval, setTimeout } from "node:timers";
import {
  EPOCH,
  type SocketAddress,
  type Watchdog,
  type WatchdogOptions,
  type WatchdogThread,
  type WatchedState,
} from "./platform.ts";
import { THREAD_PROGRAM } from "./real_watchdog_thread.ts";

/** Time between two beats, by which the thread knows that the event loop turns. @unit milliseconds */
const BEAT_MS = 100;
/** Time for the thread to come up, and for it to close. @unit milliseconds */
const START_MS = 10_000;
const CLOSE_MS = 1000;

/** What the thread says. */
interface Message {
  readonly started?: true;
  readonly address?: SocketAddress;
  readonly fault?: { readonly code?: string; readonly message: string };
  readonly closed?: true;
}

class RealThread implements WatchdogThread {
  readonly #worker: Worker;
  readonly #beats = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  #timer: ReturnType<typeof setInterval> | null = null;
  #state: (() => WatchedState) | null = null;
  #told = "";
  #take: (message: Message) => void = () => {};
  #fail: (error: Error) => void = () => {};

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<Message>) => this.#take(data);
    worker.onerror = (event) => {
      // Otherwise it would be an error of this thread, too.
      event.preventDefault();
      this.#fail(new Error(event.message));
    };
  }

  /** Resolves with the next thing the thread says. */
  async next(timeoutMs: number): Promise<Message> {
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    this.#take = resolve;
    this.#fail = reject;
    const timer = setTimeout(() => reject(new Error(`the thread said nothing for ${timeoutMs} ms`)), timeoutMs);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  async serve({ state, lost, ...options }: WatchdogOptions): Promise<SocketAddress> {
    const first = state();
    this.#state = state;
    this.#told = JSON.stringify(first);
    this.#worker.postMessage({ serve: { ...options, state: first, epoch: EPOCH, beats: this.#beats.buffer } });
    this.#timer = setInterval(() => this.#beat(), BEAT_MS);
    const { address, fault } = await this.next(START_MS);
    if (address === undefined) throw Object.assign(new Error(fault?.message), { code: fault?.code });
    this.#fail = lost;
    return address;
  }

  refresh(): void {
    if (this.#state === null) return;
    const state = this.#state();
    const text = JSON.stringify(state);
    if (text === this.#told) return;
    this.#told = text;
    this.#worker.postMessage({ state });
  }

  #beat(): void {
    Atomics.add(this.#beats, 0, 1);
    this.refresh();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#state = null;
    this.#worker.postMessage({ close: true });
    // A thread that does not answer is ended all the same.
    await this.next(CLOSE_MS).catch(() => {});
    this.#fail = () => {};
    this.#worker.terminate();
  }
}

/** Threads of this runtime. */
export const realWatchdog: Watchdog = {
  async start(): Promise<WatchdogThread> {
    const worker = new Worker(`data:text/javascript,${encodeURIComponent(THREAD_PROGRAM)}`, { type: "module" });
    const thread = new RealThread(worker);
    try {
      await thread.next(START_MS);
      return thread;
    } catch (error) {
      worker.terminate();
      throw error;
    }
  },
};
