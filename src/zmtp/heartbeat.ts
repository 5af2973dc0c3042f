/**
 * Whether a peer is still there.
 *
 * @module
 */
import type { Clock } from "../platform/platform.ts";

/** PINGs of our own. Peers that speak ZMTP 3.0 are not pinged. */
export interface HeartbeatOptions {
  /** Time between two PINGs. @unit milliseconds */
  readonly intervalMs: number;
  /** Silence after which a peer that was pinged is given up. @unit milliseconds @default `intervalMs` */
  readonly timeoutMs?: number;
  /** Silence after which the peer shall give us up; 0 leaves it to the peer. @unit milliseconds @default 0 */
  readonly ttlMs?: number;
}

/** Least TTL that is kept, so that a peer cannot keep us busy with timers. @unit milliseconds */
const MIN_TTL_MS = 100;

/** Sends PINGs, keeps the time to live that the peer asked for, and tells once when it has been silent for too long. */
export class Heartbeat implements Disposable {
  readonly #clock: Clock;
  readonly #giveUp: (silentMs: number) => void;
  #heardAt: number;
  #pings: Disposable | null = null;
  #ttlMs = 0;
  #ttl: Disposable | null = null;

  /** Makes one that does nothing yet. */
  constructor(clock: Clock, giveUp: (silentMs: number) => void) {
    this.#clock = clock;
    this.#giveUp = giveUp;
    this.#heardAt = clock.now();
  }

  /** The peer said something. */
  heard(): void {
    this.#heardAt = this.#clock.now();
  }

  /** Begins to ping. */
  start({ intervalMs, timeoutMs = intervalMs }: HeartbeatOptions, ping: () => void): void {
    const tick = () => {
      const silentMs = this.#clock.now() - this.#heardAt;
      if (silentMs >= intervalMs + timeoutMs) return this.#end(silentMs);
      ping();
      this.#pings = this.#clock.timer(intervalMs, tick);
    };
    this.#pings = this.#clock.timer(intervalMs, tick);
  }

  /** The peer asks to be given up after this much silence. @param ttlMs Time, in milliseconds; 0 means never. */
  setTtl(ttlMs: number): void {
    this.#ttlMs = ttlMs === 0 ? 0 : Math.max(MIN_TTL_MS, ttlMs);
    if (this.#ttlMs > 0 && this.#ttl === null) this.#watch(this.#ttlMs);
  }

  /** Ends both. */
  [Symbol.dispose](): void {
    this.#pings?.[Symbol.dispose]();
    this.#ttl?.[Symbol.dispose]();
  }

  /** One timer that looks again when there was something meanwhile, rather than a new one for each byte. */
  #watch(delayMs: number): void {
    this.#ttl = this.#clock.timer(delayMs, () => {
      this.#ttl = null;
      if (this.#ttlMs === 0) return;
      const silentMs = this.#clock.now() - this.#heardAt;
      if (silentMs >= this.#ttlMs) this.#end(silentMs);
      else this.#watch(this.#ttlMs - silentMs);
    });
  }

  #end(silentMs: number): void {
    this[Symbol.dispose]();
    this.#giveUp(silentMs);
  }
}
