/**
 * Which topics somebody wants.
 *
 * @module
 */
import { ZmtpError } from "./error.ts";
import { encodeMessage } from "./frame.ts";

/** Change of one subscription. */
export interface SubscriptionChange {
  /** Prefix of the topics meant; empty means all. */
  readonly topic: Uint8Array;
  /** Whether it is wanted from now on. */
  readonly isWanted: boolean;
}

/** Encodes a change as ZMTP 3.0 has it: a message of one part. Version 3.1 has commands. */
export function encodeSubscriptionMessage({ topic, isWanted }: SubscriptionChange): Uint8Array {
  const body = new Uint8Array(1 + topic.length);
  body[0] = isWanted ? 1 : 0;
  body.set(topic, 1);
  return encodeMessage([body]);
}

/** Decodes a change as ZMTP 3.0 has it; `null` if the message is none. */
export function decodeSubscriptionMessage(parts: readonly Uint8Array[]): SubscriptionChange | null {
  const [body] = parts;
  if (body === undefined || parts.length !== 1 || body.length === 0 || body[0]! > 1) return null;
  return { topic: body.subarray(1), isWanted: body[0] === 1 };
}

interface Subscription {
  readonly topic: Uint8Array;
  count: number;
}

/** A counted set of prefixes. Made for the handful that a router has: a match looks at each. */
export class Subscriptions {
  readonly #most: number;
  #all: Subscription[] = [];

  /** Makes an empty set. @param most Most different topics. */
  constructor(most = Infinity) {
    this.#most = most;
  }

  /** The topics, without counts. */
  get topics(): Uint8Array[] {
    return this.#all.map(({ topic }) => topic);
  }

  /**
   * Counts a topic up and returns whether it is new.
   *
   * @throws {ZmtpError} `limit` if there are too many.
   */
  add(topic: Uint8Array): boolean {
    const known = this.#find(topic);
    if (known !== undefined) {
      known.count++;
      return false;
    }
    if (this.#all.length >= this.#most) throw new ZmtpError("limit", `The peer wants more than ${this.#most} topics`);
    this.#all.push({ topic: topic.slice(), count: 1 });
    return true;
  }

  /** Counts a topic down and returns whether that was the last time; one that is not there is no error. */
  remove(topic: Uint8Array): boolean {
    const known = this.#find(topic);
    if (known === undefined || --known.count > 0) return false;
    this.#all = this.#all.filter((each) => each !== known);
    return true;
  }

  /** Whether a topic begins with one of the prefixes. */
  matches(topic: Uint8Array): boolean {
    for (const { topic: prefix } of this.#all) if (startsWith(topic, prefix)) return true;
    return false;
  }

  #find(topic: Uint8Array): Subscription | undefined {
    return this.#all.find((each) => each.topic.length === topic.length && startsWith(topic, each.topic));
  }
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  if (prefix.length > bytes.length) return false;
  for (let i = 0; i < prefix.length; i++) if (bytes[i] !== prefix[i]) return false;
  return true;
}
