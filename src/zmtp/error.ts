/**
 * The one error of this folder.
 *
 * @module
 */

/**
 * What went wrong: `protocol` the peer broke the rules, `unsupported` it asks for what is not built, `limit` it asks for
 * more than is allowed, `refused` it refused us, `timeout` it was silent for too long, `slow` it did not read fast enough.
 */
export type ZmtpErrorKind = "protocol" | "unsupported" | "limit" | "refused" | "timeout" | "slow";

/** Why a connection cannot go on. The connection ends; the socket and its other connections go on. */
export class ZmtpError extends Error {
  /** Tells it from other errors where `instanceof` cannot. */
  override readonly name = "ZmtpError";
  /** What went wrong. */
  readonly kind: ZmtpErrorKind;

  /** Makes an error. */
  constructor(kind: ZmtpErrorKind, message: string) {
    super(message);
    this.kind = kind;
  }
}
