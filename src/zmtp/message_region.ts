/**
 * Encoded messages, once for all who get them.
 *
 * @module
 */
import { messageLength, writeMessage } from "./frame.ts";

/** Room taken first, and most room taken at once; it doubles each time, so that a quiet socket holds little. @unit bytes */
const FIRST_BYTES = 8 * 1024;
const MOST_BYTES = 256 * 1024;

/**
 * Writes messages one behind the other. What was written is never written again, so any number of connections may send
 * views of it.
 */
export class MessageRegion {
  /** Where the messages are; replaced when it is full. */
  bytes: Uint8Array = new Uint8Array(0);
  /** Where the last message begins. */
  start = 0;
  /** Where it ends. */
  end = 0;

  /** Adds a message. */
  append(parts: readonly Uint8Array[]): void {
    const length = messageLength(parts);
    if (this.end + length > this.bytes.length) {
      const room = Math.min(MOST_BYTES, Math.max(FIRST_BYTES, 2 * this.bytes.length));
      this.bytes = new Uint8Array(Math.max(room, length));
      this.end = 0;
    }
    this.start = this.end;
    this.end = writeMessage(this.bytes, this.start, parts);
  }
}
