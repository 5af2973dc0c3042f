/**
 * Bytes on their way to a socket.
 *
 * @module
 */

/** Room taken at once; a one-token frame needs about 160, and an engine may have dozens ready. @unit bytes */
const REGION_BYTES = 8192;
const EMPTY = new Uint8Array(0);

/**
 * Collects frames until they are taken. Encoders write in place, so a frame costs no allocation of its own; what was
 * taken is never written again.
 */
export class SendBuffer {
  /** Where to write, at the places that {@linkcode reserve} returns. */
  bytes: Uint8Array = EMPTY;
  #start = 0;
  #end = 0;

  /** Bytes waiting. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Makes room for `count` bytes at the end and returns where they begin. */
  reserve(count: number): number {
    if (this.#end + count > this.bytes.length) this.#move(count);
    const at = this.#end;
    this.#end += count;
    return at;
  }

  /** Adds bytes. */
  append(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.bytes.set(bytes, at);
  }

  /** Takes what is waiting; the rest of the room is used for what follows. */
  take(): Uint8Array {
    const taken = new Uint8Array(this.bytes.buffer, this.#start, this.#end - this.#start);
    this.#start = this.#end;
    return taken;
  }

  /** Moves what is waiting to a region with room for `count` bytes more. */
  #move(count: number): void {
    const { length } = this;
    const grown = new Uint8Array(Math.max(REGION_BYTES, 2 * length + count));
    grown.set(this.bytes.subarray(this.#start, this.#end));
    this.bytes = grown;
    this.#start = 0;
    this.#end = length;
  }
}
