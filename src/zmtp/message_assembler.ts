/**
 * Frames become messages.
 *
 * @module
 */
import { ZmtpError } from "./error.ts";
import type { Limits } from "./limits.ts";

/** Collects the parts of one message at a time. */
export class MessageAssembler {
  readonly #limits: Pick<Limits, "maxMessageBytes" | "maxParts">;
  #parts: Uint8Array[] = [];
  #bytes = 0;
  /** Parts that are our own copies. */
  #kept = 0;

  /** Makes an assembler for one connection. */
  constructor(limits: Pick<Limits, "maxMessageBytes" | "maxParts">) {
    this.#limits = limits;
  }

  /**
   * Adds a part and returns the message if it was the last; its parts are valid as long as the last one is.
   *
   * @throws {ZmtpError} `limit` if the message is too long or has too many parts.
   */
  add(part: Uint8Array, hasMore: boolean): readonly Uint8Array[] | null {
    const { maxMessageBytes, maxParts } = this.#limits;
    this.#bytes += part.length;
    if (this.#bytes > maxMessageBytes) {
      throw new ZmtpError("limit", `The peer sent a message above ${maxMessageBytes} bytes`);
    }
    this.#parts.push(part);
    if (this.#parts.length > maxParts) {
      throw new ZmtpError("limit", `The peer sent a message of more than ${maxParts} parts`);
    }
    if (hasMore) return null;
    const parts = this.#parts;
    this.#parts = [];
    this.#bytes = this.#kept = 0;
    return parts;
  }

  /** Copies the parts at hand; call it before the bytes they are views of become invalid. */
  keep(): void {
    const parts = this.#parts;
    for (; this.#kept < parts.length; this.#kept++) parts[this.#kept] = parts[this.#kept]!.slice();
  }
}
