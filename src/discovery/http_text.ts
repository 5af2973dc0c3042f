/**
 * Bodies of HTTP answers as text, and when a request is over.
 *
 * @module
 */

/** Longest answer, and longest line of a stream; a bucket of ten thousand workers fits. @unit bytes */
const MAX_BYTES = 256 * 1024 * 1024;

/** A whole body. @throws {TypeError} If it has more than 256 MiB. */
export async function readAll(body: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  for await (const part of decoded(body)) {
    text += part;
    if (text.length > MAX_BYTES) throw tooLong();
  }
  return text;
}

/** The lines of a body as they come, without empty ones. @throws {TypeError} If one has more than 256 MiB. */
export async function* lines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const part of decoded(body)) {
    const complete = (rest + part).split("\n");
    rest = complete.pop()!;
    if (rest.length > MAX_BYTES) throw tooLong();
    yield* complete.filter((line) => line !== "");
  }
}

async function* decoded(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  for await (const bytes of body) yield decoder.decode(bytes, { stream: true });
}

function tooLong(): TypeError {
  return new TypeError(`it sends more than ${MAX_BYTES} bytes at once`);
}

/** The end of one request: with any of the signals, when somebody says so, and in any case when disposed. */
export class Ending implements Disposable {
  readonly #controller = new AbortController();
  readonly #causes: readonly AbortSignal[];
  readonly #follow = (): void => this.end("discovery is closed");

  constructor(causes: readonly AbortSignal[]) {
    this.#causes = causes;
    for (const cause of causes) cause.addEventListener("abort", this.#follow);
    if (causes.some(({ aborted }) => aborted)) this.#follow();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  end(reason: string): void {
    this.#controller.abort(reason);
  }

  [Symbol.dispose](): void {
    for (const cause of this.#causes) cause.removeEventListener("abort", this.#follow);
    this.end("it is over");
  }
}
