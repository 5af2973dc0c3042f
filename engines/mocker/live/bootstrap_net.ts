/**
 * What hand-overs need of the world: connections between workers.
 *
 * @module
 */

/** One end of a connection. */
export interface Link {
  /** Sends bytes, in order; nothing happens if the connection is gone. */
  send(bytes: Uint8Array): void;
  /** Ends the connection after what was sent; nothing is heard of it any more. */
  close(): void;
}

/** Who is told what happens to a connection. Nobody is after `close`. */
export interface LinkListener {
  /** Bytes came; the array is only valid during the call. */
  data(bytes: Uint8Array): void;
  /** The connection is gone, or never came about. @param why In words that follow a subject. */
  lost(why: string): void;
}

/** A socket that takes connections. */
export interface LinkListening {
  /** The port, also if any was asked for. */
  readonly port: number;
  /** Takes no more connections. */
  close(): Promise<void>;
}

/** The network, and the time for those who have no request to take it from. */
export interface BootstrapNet {
  /** The address that others are told when nobody says another. */
  ownAddress(): string;
  /**
   * Takes connections at every address of this machine.
   *
   * @param port 0 for any.
   * @throws {Error} If the port cannot be had.
   */
  listen(port: number, accept: (link: Link) => LinkListener): Promise<LinkListening>;
  /** Begins a connection; what is sent before it stands waits for it. */
  dial(host: string, port: number, listener: LinkListener): Link;
  /** Calls after some time. @param ms @unit milliseconds @returns How to prevent it. */
  after(ms: number, ring: () => void): () => void;
}
