/**
 * One call home as a simulated frontend sees it: reads the answer, does what the client's plan says.
 *
 * @module
 */
import type { Clock, Conn, ConnHandlers } from "../../platform/platform.ts";
import { decodeWorkerHeader, encodeFrontendWord, type FrontendWord } from "../../protocol/control.ts";
import { decodeError } from "../../protocol/received_error.ts";
import { type TwoPartFrame, TwoPartParser } from "../../protocol/frame.ts";
import type { GenerateChunk } from "../../protocol/output.ts";
import { decodeMsgpack, decodeText, parseJson } from "../../protocol/payload.ts";
import { describeReason } from "./engine_recorder.ts";
import type { EventFacts, EventKind } from "./history.ts";
import type { RequestPlan } from "./life_plan.ts";

/** What a reader is made of. */
export interface ReaderParts {
  /** The connection. */
  readonly conn: Conn;
  /** Breaks the connection. */
  readonly reset: () => void;
  /** Time. */
  readonly clock: Clock;
  /** The request of an id. */
  readonly planOf: (id: string) => RequestPlan | undefined;
  /** Says what was seen. */
  readonly note: (what: EventKind, facts: EventFacts) => void;
  /** Called when the connection is gone. */
  readonly onClosed: () => void;
}

/** An item as it travels. */
interface WireItem {
  readonly data?: { readonly data?: GenerateChunk; readonly event?: string; readonly error?: unknown };
  readonly complete_final?: boolean;
}

const MAX_FRAME_BYTES = 1 << 20;

/** Reads one answer. What has no place in an answer is told as `malformed`. */
export class AnswerReader implements ConnHandlers {
  readonly #parts: ReaderParts;
  readonly #parser = new TwoPartParser(MAX_FRAME_BYTES);
  #phase: "new" | "called" | "open" | "final" | "over" = "new";
  #plan: RequestPlan | null = null;
  #items = 0;
  #hasActed = false;

  /** Makes a reader for a connection that was just accepted. */
  constructor(parts: ReaderParts) {
    this.#parts = parts;
  }

  /** @inheritDoc */
  data(bytes: Uint8Array): void {
    try {
      this.#parser.push(bytes.slice(), (frame) => this.#take(frame));
    } catch (error) {
      this.#note("malformed", { detail: (error as Error).message });
      this.#parts.conn.destroy();
    }
  }

  /** @inheritDoc */
  end(): void {
    if (this.#phase !== "over") this.#note("hung up");
    this.#phase = "over";
    this.#parts.conn.end();
  }

  /** @inheritDoc */
  closed(error?: Error): void {
    this.#parts.onClosed();
    if (error !== undefined && this.#phase !== "over") this.#note("broken");
    this.#phase = "over";
  }

  #note(what: EventKind, facts: EventFacts = {}): void {
    this.#parts.note(what, { id: this.#plan?.id ?? "", ...facts });
  }

  #take(frame: TwoPartFrame): void {
    if (this.#phase === "over") return this.#note("malformed", { detail: "a frame after the end" });
    if (frame.header.length > 0) this.#takeHeader(frame.header);
    else this.#takeItem(frame.body);
  }

  #takeHeader(header: Uint8Array): void {
    const said = decodeWorkerHeader(header);
    if (said.kind === "handshake" && this.#phase === "new") {
      this.#plan = this.#parts.planOf(said.subject) ?? null;
      this.#phase = "called";
      this.#note("called");
      this.#act(-1);
    } else if (said.kind === "prologue" && this.#phase === "called") {
      this.#phase = "open";
      if (said.error === null) this.#note("prologue");
      else this.#note("prologue error", { detail: decodeError(said.typedError).reason });
      this.#act(0);
    } else if (said.kind === "sentinel" && this.#phase === "final") {
      this.#phase = "over";
      this.#note("sentinel");
      this.#parts.conn.end();
    } else {
      this.#note("malformed", { detail: `${said.kind} while ${this.#phase}` });
    }
  }

  #takeItem(body: Uint8Array): void {
    if (this.#phase !== "open") return this.#note("malformed", { detail: `an item while ${this.#phase}` });
    const text = this.#plan?.codec === "msgpack" ? decodeMsgpack(body) : parseJson(decodeText(body));
    const { data: item, complete_final: isFinal } = text as WireItem;
    if (isFinal === true) {
      this.#phase = "final";
      return this.#note("final");
    }
    if (item?.event === "error" || item?.error !== undefined) {
      return this.#note("error", { detail: decodeError(item.error).reason });
    }
    const { token_ids = [], finish_reason } = item?.data ?? {};
    const detail = describeReason(finish_reason);
    this.#note("item", { tokens: [...token_ids], ...(detail === null ? {} : { detail }) });
    this.#act(++this.#items);
  }

  /** Does what the client does at this point. */
  #act(items: number): void {
    const { client } = this.#plan ?? {};
    if (client === undefined || this.#hasActed || items < client.afterItems) return;
    const { conn } = this.#parts;
    const act: Partial<Record<typeof client.kind, () => void>> = {
      stop: () => this.#say("stop"),
      kill: () => this.#say("kill"),
      reset: () => this.#parts.reset(),
      leave: () => conn.destroy(),
      half_close: () => conn.end(),
      slow: () => this.#pause(client.ms),
      deaf: () => conn.setReading(false),
    };
    const action = act[client.kind];
    if (action === undefined) return;
    // A slow client is slow again and again.
    this.#hasActed = client.kind !== "slow";
    this.#note("does", { detail: client.kind });
    action();
  }

  #say(word: FrontendWord): void {
    this.#parts.conn.write(encodeFrontendWord(word));
  }

  #pause(ms: number): void {
    this.#parts.conn.setReading(false);
    this.#parts.clock.timer(ms, () => {
      this.#note("does", { detail: "reads again" });
      this.#parts.conn.setReading(true);
    });
  }
}
