/**
 * The response-plane seam: how answers leave the worker.
 *
 * @module
 */
import type { AbortReason, CallHome } from "../protocol/control.ts";
import type { SendBuffer } from "../protocol/send_buffer.ts";

/** The way of one answer. Frames are written to `buffer` and then committed. */
export interface ResponseStream {
  /** Takes encoded frames. */
  readonly buffer: SendBuffer;
  /** Whether nothing that is written can arrive any more. */
  readonly isClosed: boolean;
  /** Whether the writer should wait for {@linkcode drained} before the next frame. */
  readonly isFull: boolean;
  /** Bytes sent so far. */
  readonly sentBytes: number;
  /** Counts one frame in the buffer as finished; it leaves with all others of this turn. */
  commit(): void;
  /** Resolves when there is room again, or the stream is closed. */
  drained(): Promise<void>;
  /** Sends what is waiting, then lets the frontend close; the stream needs no more care. */
  end(): void;
  /** Sends what is waiting and closes our side: for an answer that has no sentinel to tell that it is whole. */
  hangUp(): void;
  /** Drops the stream at once. */
  destroy(): void;
}

/** Opens one stream per request. Disposing it lets ended streams get their bytes out, then closes every connection. */
export interface ResponsePlane extends AsyncDisposable {
  /**
   * Calls a frontend back.
   *
   * @param onAbort Called at most once, when the frontend no longer wants the answer or its connection broke.
   * @throws {Error} If the frontend cannot be reached within the connect deadline.
   */
  open(callHome: CallHome, onAbort: (reason: AbortReason) => void): Promise<ResponseStream>;
}
