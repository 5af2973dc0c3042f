/**
 * The first 64 bytes of a connection.
 *
 * @module
 */
import { ZmtpError } from "./error.ts";

/** Length of a greeting. @unit bytes */
export const GREETING_BYTES = 64;

/** What a peer says of itself first. */
export interface Greeting {
  /** Highest major version it speaks; 3 or more. */
  readonly major: number;
  /** Highest minor version it speaks. */
  readonly minor: number;
  /** Security mechanism: `NULL`, `PLAIN`, `CURVE` or another. */
  readonly mechanism: string;
}

/** What we say: ZMTP 3.1 without security. */
export const OUR_GREETING: Greeting = { major: 3, minor: 1, mechanism: "NULL" };

const VERSION_AT = 10;
const MECHANISM_AT = 12;
const MECHANISM_BYTES = 20;

/** Encodes a greeting. */
export function encodeGreeting(greeting: Greeting = OUR_GREETING): Uint8Array {
  const bytes = new Uint8Array(GREETING_BYTES);
  bytes[0] = 0xff;
  bytes[8] = 1;
  bytes[9] = 0x7f;
  bytes[VERSION_AT] = greeting.major;
  bytes[VERSION_AT + 1] = greeting.minor;
  new TextEncoder().encodeInto(greeting.mechanism, bytes.subarray(MECHANISM_AT, MECHANISM_AT + MECHANISM_BYTES));
  return bytes;
}

/**
 * The version both sides speak: ours, or the peer's if it is lower.
 *
 * @throws {ZmtpError} `unsupported` if the peer wants a mechanism other than NULL.
 */
export function agreeOn(theirs: Greeting): Greeting {
  if (theirs.mechanism !== OUR_GREETING.mechanism) {
    const text = `The peer wants ${theirs.mechanism} security; only NULL is supported, so turn it off on that side`;
    throw new ZmtpError("unsupported", text);
  }
  const minor = theirs.major > OUR_GREETING.major ? OUR_GREETING.minor : Math.min(OUR_GREETING.minor, theirs.minor);
  return { ...OUR_GREETING, minor };
}

/** Reads a greeting that arrives in pieces, and says as early as it can that there will be none. */
export class GreetingDecoder {
  readonly #bytes = new Uint8Array(GREETING_BYTES);
  #length = 0;

  /** Whether all of it arrived. */
  get isWhole(): boolean {
    return this.#length === GREETING_BYTES;
  }

  /** The greeting, once all of it arrived. */
  get greeting(): Greeting | null {
    if (!this.isWhole) return null;
    const name = this.#bytes.subarray(MECHANISM_AT, MECHANISM_AT + MECHANISM_BYTES);
    const mechanism = String.fromCharCode(...name).replace(/\0+$/, "");
    return { major: this.#bytes[VERSION_AT]!, minor: this.#bytes[VERSION_AT + 1]!, mechanism };
  }

  /**
   * Adds bytes and returns how many of them belong to the greeting.
   *
   * @throws {ZmtpError} `unsupported` if this is not ZMTP 3 or later.
   */
  push(bytes: Uint8Array): number {
    const count = Math.min(bytes.length, GREETING_BYTES - this.#length);
    this.#bytes.set(bytes.subarray(0, count), this.#length);
    this.#length += count;
    this.#check();
    return count;
  }

  #check(): void {
    const bytes = this.#bytes;
    // A version 1 peer begins with the length of its identity: one byte, or ff, eight bytes and a flag without bit 0.
    const isVersioned = this.#length === 0 || (bytes[0] === 0xff && (this.#length < 10 || (bytes[9]! & 1) === 1));
    if (!isVersioned) {
      throw new ZmtpError("unsupported", "The peer speaks no ZMTP, or version 1 of it; 3.0 or later is needed");
    }
    if (this.#length > VERSION_AT && bytes[VERSION_AT]! < 3) {
      const version = bytes[VERSION_AT] === 0 ? 1 : 2;
      throw new ZmtpError("unsupported", `The peer speaks ZMTP ${version}; 3.0 or later is needed, as libzmq 4 has it`);
    }
  }
}
