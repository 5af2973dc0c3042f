/**
 * The seam between a client and the request planes: how a request gets to a worker.
 *
 * @module
 */
import type { Call } from "./call.ts";

/** A request on its way out. */
export interface Outgoing {
  /** Whose it is. */
  readonly call: Call;
  /** Headers of the transport. */
  readonly headers: Readonly<Record<string, string>>;
  /** The two-part envelope. */
  readonly envelope: Uint8Array;
}

/** A request that is ready to go. */
export interface Departing {
  /** Sends it; the call is failed if it is refused, lost or not acknowledged in time. */
  send(): void;
  /** Whether the request may have reached the worker. Call it once, when the call has settled. */
  release(): boolean;
}

/** One way to workers. Disposing it closes it; what is not answered yet fails. */
export interface Route extends AsyncDisposable {
  /**
   * Prepares a request to a worker's address on this plane.
   *
   * @throws {Error} Whose message says why it cannot be sent.
   */
  prepare(address: string, request: Outgoing): Departing;
}
