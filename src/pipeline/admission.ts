/**
 * Who may run, who waits, who is refused.
 *
 * @module
 */
import type { DynamoError } from "../protocol/error.ts";

/** A request that holds or waits for a place; told when its time is up. */
export interface Admitted {
  /** Ends the request with an error, at once. */
  fail(error: DynamoError): void;
}

/** A request's place. Disposing it gives the place to the next in the queue. */
export interface Permit extends Disposable {
  /** Resolves when the request may run. */
  readonly entered: Promise<void>;
}

/** Numbers for metrics. */
export interface AdmissionLoad {
  /** Requests that run. */
  readonly active: number;
  /** Requests that wait. */
  readonly queued: number;
  /** Most that run. */
  readonly capacity: number;
  /** Most that wait. */
  readonly queueCapacity: number;
}

/**
 * Lets `limit` requests run and `queueLimit` wait, first come first served.
 *
 * @source dynamo-runtime 1.6.1, tcp request plane: worker pool and work queue
 */
export class Admission {
  readonly #limit: number;
  readonly #queueLimit: number;
  readonly #running = new Set<Admitted>();
  /** Waiting requests and how to let them in, in order of arrival. */
  readonly #queue = new Map<Admitted, () => void>();
  readonly #idleWaiters: (() => void)[] = [];
  #isClosed = false;
  #expired: DynamoError | null = null;

  constructor(limit: number, queueLimit: number) {
    this.#limit = limit;
    this.#queueLimit = queueLimit;
  }

  /** Whether new requests are refused because the worker is shutting down. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Numbers for metrics. */
  get load(): AdmissionLoad {
    return {
      active: this.#running.size,
      queued: this.#queue.size,
      capacity: this.#limit,
      queueCapacity: this.#queueLimit,
    };
  }

  /** A place for the request, or `null` when every place and the queue are taken. */
  tryEnter(request: Admitted): Permit | null {
    const release = { [Symbol.dispose]: () => this.#leave(request) };
    if (this.#running.size < this.#limit && this.#queue.size === 0) {
      this.#running.add(request);
      return { entered: Promise.resolve(), ...release };
    }
    if (this.#queue.size >= this.#queueLimit) return null;
    return { entered: new Promise((resolve) => this.#queue.set(request, resolve)), ...release };
  }

  /** Refuses requests from now on. */
  close(): void {
    this.#isClosed = true;
  }

  /** Resolves when nobody runs or waits. */
  idle(): Promise<void> {
    if (this.#running.size + this.#queue.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Ends every request with an error; those that wait are let in, so that they can tell their frontend. */
  expire(error: DynamoError): void {
    this.#isClosed = true;
    this.#expired = error;
    for (const request of this.#running) request.fail(error);
    this.#admitWaiting();
  }

  #leave(request: Admitted): void {
    this.#queue.delete(request);
    if (!this.#running.delete(request)) return;
    this.#admitWaiting();
    if (this.#running.size + this.#queue.size > 0) return;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }

  #admitWaiting(): void {
    for (const [request, enter] of this.#queue) {
      if (this.#running.size >= this.#limit && this.#expired === null) return;
      this.#queue.delete(request);
      this.#running.add(request);
      if (this.#expired !== null) request.fail(this.#expired);
      enter();
    }
  }
}
