/**
 * How much a peer may ask of us.
 *
 * @module
 */

/** Bounds per connection. A peer that exceeds one is cut with an error that names it. */
export interface Limits {
  /** Longest message received, the sum of its parts. @unit bytes @default 67108864 */
  readonly maxMessageBytes: number;
  /** Most parts of a message received. @default 1024 */
  readonly maxParts: number;
  /** Longest topic a subscriber may ask for. @unit bytes @default 4096 */
  readonly maxTopicBytes: number;
  /** Most topics a subscriber may ask for. @default 1024 */
  readonly maxSubscriptions: number;
  /** Longest command before a connection is ready, all metadata included. @unit bytes @default 8192 */
  readonly maxMetadataBytes: number;
  /** Time for a connection to become ready. @unit milliseconds @default 10000 */
  readonly handshakeTimeoutMs: number;
  /** Most connections a bound socket accepts; further ones are closed at once. @default 1024 */
  readonly maxPeers: number;
}

/** How much may wait for a peer that does not read. One message is always taken, whatever its size. */
export interface HighWaterMark {
  /** Messages. @default 100000 @source dynamo-runtime 1.6.1, ZMQ event plane: `SNDHWM` */
  readonly messages: number;
  /** Bytes, framing included. @unit bytes @default 33554432 */
  readonly bytes: number;
}

/** The limits that hold where none are given. */
export const DEFAULT_LIMITS: Limits = {
  maxMessageBytes: 64 * 1024 * 1024,
  maxParts: 1024,
  maxTopicBytes: 4096,
  maxSubscriptions: 1024,
  maxMetadataBytes: 8192,
  handshakeTimeoutMs: 10_000,
  maxPeers: 1024,
};

/** The high-water mark that holds where none is given. */
export const DEFAULT_HIGH_WATER_MARK: HighWaterMark = { messages: 100_000, bytes: 32 * 1024 * 1024 };
