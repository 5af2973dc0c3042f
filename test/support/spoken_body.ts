/**
 * Bodies of answers in memory that a test speaks as it goes along.
 *
 * @module
 */
import { Buffer } from "node:buffer";

/** The body of a watch: what was said waits until somebody reads it. */
export class SpokenBody implements AsyncIterable<Uint8Array> {
  ended: () => void = () => {};
  readonly #parts: string[] = [];
  #error: unknown = null;
  #wake: () => void = () => {};

  say(message: object): void {
    this.push(JSON.stringify(message) + "\n");
  }

  push(text: string): void {
    this.#parts.push(text);
    this.#wake();
  }

  fail(error: unknown): void {
    this.#error ??= error;
    this.ended();
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const part = this.#parts.shift();
        if (part !== undefined) yield Buffer.from(part);
        else if (this.#error !== null) throw this.#error;
        else await new Promise<void>((resolve) => this.#wake = resolve);
      }
    } finally {
      this.ended();
    }
  }
}

/** Calls `run` once with the reason, also if it is aborted already. */
export function whenAborted(signal: AbortSignal, run: (reason: unknown) => void): void {
  if (signal.aborted) run(signal.reason);
  else signal.addEventListener("abort", () => run(signal.reason), { once: true });
}
