/**
 * One request of a client, from its first byte to its one end.
 *
 * @module
 */
import { decodeWorkerHeader, encodeFrontendWord, FINAL, type FrontendWord } from "../protocol/control.ts";
import { decodeError } from "../protocol/received_error.ts";
import { TWO_PART_PREFIX_BYTES, type TwoPartFrame } from "../protocol/frame.ts";
import type { GenerateChunk } from "../protocol/output.ts";
import { decodeMsgpack, decodeText, parseJson } from "../protocol/payload.ts";
import type { PayloadCodec } from "../protocol/record.ts";
import type { Conn } from "../platform/platform.ts";
import { brokenProtocol, ClientError, disconnected, prologueError } from "./client_error.ts";
import type { Deadlines } from "./deadlines.ts";

/** One item of a response. @source dynamo-runtime 1.6.1, `Annotated` */
export interface ResponseItem {
  /** The engine's chunk. */
  readonly data?: GenerateChunk | null;
  /** Name of an annotation. */
  readonly event?: string | null;
  /** Texts of an annotation. */
  readonly comment?: readonly string[] | null;
}

/** Where a response goes. The handlers run while bytes are read: they must be quick and must not throw. */
export interface ResponseHandlers {
  /** The engine has the request. */
  opened?(): void;
  /** One item, decoded. */
  item?(item: ResponseItem): void;
  /**
   * One item, still encoded, wrapper included; the view is only valid during the call. With it `item` is not called and
   * errors inside items are not noticed: for load generators.
   */
  bytes?(body: Uint8Array): void;
  /** The end, exactly once and last; `null` if the response came whole, or was stopped as asked. */
  ended(error: ClientError | null): void;
}

/** What a caller may do with a request it started. */
export interface StartedRequest {
  /** Request id. */
  readonly id: string;
  /** Asks the worker to finish; what it still sends is delivered. */
  stop(): void;
  /** Drops the request: the worker is told `kill`, and the response ends at once, with `error` or in order. */
  kill(error?: ClientError): void;
  /** Stops or resumes reading the response, which in the end blocks the engine. */
  setReading(reading: boolean): void;
}

/** What a call needs to know. */
export interface CallParts {
  /** Request id. */
  readonly id: string;
  /** Names the call on its way home. */
  readonly subject: string;
  /** The endpoint asked, as it is called in discovery. */
  readonly instance: string;
  /** Encoding of the items. */
  readonly codec: PayloadCodec;
  /** Where the response goes. */
  readonly handlers: ResponseHandlers;
  /** Time for the worker to finish or close once there is nothing more to say. */
  readonly lingering: Deadlines;
}

const WORDS: Readonly<Record<FrontendWord, Uint8Array>> = {
  stop: encodeFrontendWord("stop"),
  kill: encodeFrontendWord("kill"),
};

/** The body of the final frame alone. */
const FINAL_BODY: Readonly<Record<PayloadCodec, Uint8Array>> = {
  json: FINAL.json.subarray(TWO_PART_PREFIX_BYTES),
  msgpack: FINAL.msgpack.subarray(TWO_PART_PREFIX_BYTES),
};

/** One request. Phases: `waiting` for the call home, `greeted`, `open`, `final`, `ended`. */
export class Call implements StartedRequest {
  /** Request id. */
  readonly id: string;
  /** Names the call on its way home. */
  readonly subject: string;
  /** The endpoint asked, as it is called in discovery. */
  readonly instance: string;
  /** Called once when the worker has called home or the call has ended, whatever comes first. */
  onSettled: (() => void) | null = null;
  readonly #codec: PayloadCodec;
  readonly #handlers: ResponseHandlers;
  readonly #lingering: Deadlines;
  #phase: "waiting" | "greeted" | "open" | "final" | "ended" = "waiting";
  #conn: Conn | null = null;
  #linger: Disposable | null = null;
  #error: ClientError | null = null;
  #stopped = false;

  /** Makes a call that waits for its worker. */
  constructor(parts: CallParts) {
    this.id = parts.id;
    this.subject = parts.subject;
    this.instance = parts.instance;
    this.#codec = parts.codec;
    this.#handlers = parts.handlers;
    this.#lingering = parts.lingering;
  }

  /** Whether the response has ended. */
  get isEnded(): boolean {
    return this.#phase === "ended";
  }

  /** The worker called home on `conn`. */
  greet(conn: Conn): void {
    this.#conn = conn;
    this.#phase = "greeted";
    this.#settle();
    if (this.#stopped) this.#say("stop");
  }

  /** Fails the call if the worker has not called home yet. */
  lose(error: ClientError): void {
    if (this.#phase === "waiting") this.#end(error);
  }

  stop(): void {
    if (this.isEnded || this.#stopped) return;
    this.#stopped = true;
    this.#say("stop");
  }

  kill(error: ClientError | null = null): void {
    if (this.isEnded) return;
    this.#say("kill");
    this.#end(error);
  }

  setReading(reading: boolean): void {
    if (!this.isEnded) this.#conn?.setReading(reading);
  }

  /** Takes a frame that follows the handshake. */
  take(frame: TwoPartFrame): void {
    if (this.isEnded) return;
    if (frame.header.length > 0) return this.#takeHeader(frame.header);
    if (this.#phase === "final") return this.fail(brokenProtocol("response received after generation ended"));
    if (this.#phase !== "open") return this.fail(brokenProtocol("an item came before the prologue"));
    // An error item ends the answer; what a worker still says is not part of it.
    if (this.#error !== null && !isFinal(frame.body, this.#codec)) return;
    this.#takeItem(frame.body);
  }

  /** All frames of one read were taken. */
  taken(): void {
    if (this.isEnded || this.#linger !== null) return;
    if (this.#phase === "final" || this.#error !== null) {
      // The end should follow at once; a worker that forgets it must not hold the answer.
      this.#linger = this.#lingering.add(() => this.kill(this.#error));
    }
  }

  /** The worker will say nothing more on the response connection. */
  peerEnded(cause?: Error): void {
    if (this.isEnded) return;
    const complete = this.#phase === "final" || this.#stopped;
    this.#end(this.#error ?? (complete ? null : disconnected("stream ended before generation completed", cause)));
  }

  /** The connection is gone. */
  closed(cause?: Error): void {
    this.#conn = null;
    this.peerEnded(cause);
    this.#linger?.[Symbol.dispose]();
  }

  /** Ends the call because of the worker's fault. */
  fail(error: ClientError): void {
    this.kill(error);
  }

  #takeHeader(header: Uint8Array): void {
    const said = decodeWorkerHeader(header);
    if (said.kind === "prologue" && this.#phase === "greeted") {
      if (said.error !== null) return this.#end(prologueError(said.error, said.typedError));
      this.#phase = "open";
      return this.#handlers.opened?.();
    }
    if (said.kind !== "sentinel") throw new SyntaxError(`unexpected ${said.kind}`);
    this.peerEnded();
  }

  #takeItem(body: Uint8Array): void {
    if (isFinal(body, this.#codec)) {
      this.#phase = "final";
      return;
    }
    if (this.#handlers.bytes !== undefined) return this.#handlers.bytes(body);
    const wrapper = (this.#codec === "msgpack" ? decodeMsgpack(body) : parseJson(decodeText(body))) as {
      readonly data?: ResponseItem & { readonly error?: unknown };
      readonly complete_final?: unknown;
    };
    if (typeof wrapper?.complete_final !== "boolean") throw new SyntaxError("complete_final is missing");
    if (wrapper.complete_final) this.#phase = "final";
    const item = wrapper.data;
    if (item === undefined || item === null) {
      if (!wrapper.complete_final) throw new SyntaxError("item without data");
    } else if (item.event === "error" || (item.error !== undefined && item.error !== null)) {
      this.#error = itemError(item);
    } else {
      this.#handlers.item?.(item);
    }
  }

  #say(word: FrontendWord): void {
    this.#conn?.write(WORDS[word]);
  }

  #end(error: ClientError | null): void {
    this.#phase = "ended";
    this.#linger?.[Symbol.dispose]();
    this.#linger = null;
    const conn = this.#conn;
    if (conn !== null) {
      // A word may still be on its way out, so our side ends in order; the worker then closes, or is cut off.
      conn.end();
      conn.setReading(true);
      this.#linger = this.#lingering.add(() => conn.destroy());
    }
    this.#settle();
    this.#handlers.ended(error);
  }

  #settle(): void {
    const settled = this.onSettled;
    this.onSettled = null;
    settled?.();
  }
}

function itemError(item: ResponseItem & { readonly error?: unknown }): ClientError {
  if (item.error !== undefined && item.error !== null) return new ClientError(decodeError(item.error));
  const message = item.comment?.join(", ") ?? "unspecified error";
  return new ClientError({ class: "Internal", reason: "runtime.unclassified", message, publicMessage: null });
}

/** Whether a body is the final frame as every known worker writes it; others are told after decoding. */
function isFinal(body: Uint8Array, codec: PayloadCodec): boolean {
  const final = FINAL_BODY[codec];
  if (body.length !== final.length) return false;
  for (let i = 0; i < final.length; i++) {
    if (body[i] !== final[i]) return false;
  }
  return true;
}
