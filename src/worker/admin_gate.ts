/**
 * When operators' calls may come through to the engine, and that shutdown knows of each.
 *
 * @module
 */

/** Lets calls through from {@linkcode open} until the worker is told to stop. */
export class AdminGate {
  readonly #stop: AbortSignal;
  readonly #running = new Set<Promise<unknown>>();
  #isOpen = false;
  #tail: Promise<unknown> = Promise.resolve();

  /** @param stop Aborts when the worker is told to stop. */
  constructor(stop: AbortSignal) {
    this.#stop = stop;
  }

  /** The worker serves. */
  open(): void {
    this.#isOpen = true;
  }

  /** Whether calls come through now. A call in several steps asks before each of them. */
  get isOpen(): boolean {
    return this.#isOpen && !this.#stop.aborted;
  }

  /** What a caller is told who does not come through. @source dynamo-backend-common 1.6.1, `worker.rs` */
  get refusal(): string {
    const state = this.#stop.aborted ? "shutting down" : "starting";
    return `engine administrative routes are unavailable while the worker is ${state}`;
  }

  /**
   * Makes a call. `null` if it does not come through, or is under way when the worker is told to stop: its caller need
   * not wait, {@linkcode settled} does.
   */
  async pass<T>(call: () => T | Promise<T>): Promise<T | null> {
    if (!this.isOpen) return null;
    const made = Promise.resolve().then(call);
    this.#running.add(made);
    try {
      return await unlessAborted(this.#stop, made);
    } finally {
      made.catch(() => {}).finally(() => this.#running.delete(made));
    }
  }

  /** {@linkcode pass}, after the calls in turn before it: of those that move the worker, one runs at a time. */
  passInTurn<T>(call: () => T | Promise<T>): Promise<T | null> {
    return this.pass(() => {
      // Told to stop while it waited, it is not made at all.
      const made = this.#tail.then(() => this.isOpen ? call() : null);
      this.#tail = made.catch(() => {});
      return made;
    });
  }

  /** Resolves when no call is under way. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled([...this.#running]);
  }
}

function unlessAborted<T>(signal: AbortSignal, made: Promise<T>): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const stop = () => resolve(null);
    signal.addEventListener("abort", stop, { once: true });
    made.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
