/**
 * Bytes on their way to a socket.
 *
 * @module
 */

/** Room taken at once; a one-token frame needs about 160. @unit bytes */
const REGION_BYTES = 4096;
const EMPTY = new Uint8Array(0);

/**
 * Collects frames until they are taken. Encoders write in place, so a frame costs no allocation of its own; what was
 * taken is never written again.
 */
export class SendBuffer {
  /** Where to write; only up to {@linkcode length} is used. */
  bytes: Uint8Array = EMPTY;
  /** Bytes waiting. */
  length = 0;

  /** Makes room for `count` bytes at the end and returns where they begin. */
  reserve(count: number): number {
    const at = this.length;
    const needed = at + count;
    if (needed > this.bytes.length) {
      const grown = new Uint8Array(Math.max(REGION_BYTES, needed + at));
      grown.set(this.bytes.subarray(0, at));
      this.bytes = grown;
    }
    this.length = needed;
    return at;
  }

  /** Adds bytes. */
  append(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.bytes.set(bytes, at);
  }

  /** Takes what is waiting; the rest of the room is used for what follows. */
  take(): Uint8Array {
    const taken = this.bytes.subarray(0, this.length);
    this.bytes = this.bytes.subarray(this.length);
    this.length = 0;
    return taken;
  }
}
