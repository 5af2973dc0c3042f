/**
 * One answer on its way: prologue, items, final frame, in this order and each at most once.
 *
 * @module
 */
import { encodePrologueError, FINAL, PROLOGUE_OK, SENTINEL } from "../protocol/control.ts";
import { DynamoError } from "../protocol/error.ts";
import type { PayloadCodec } from "../protocol/record.ts";
import type { ResponseStream } from "../response_plane/response_plane.ts";
import { encodeItem, type Item } from "./encode.ts";

/** Writes an answer in the request's codec. Once it is over, further calls do nothing. */
export class Answer {
  readonly #out: ResponseStream;
  readonly #codec: PayloadCodec;
  readonly #onUnencodable: () => void;
  #hasPrologue = false;
  #isOver = false;

  /** @param onUnencodable Told when an item cannot be encoded. */
  constructor(out: ResponseStream, codec: PayloadCodec, onUnencodable: () => void) {
    this.#out = out;
    this.#codec = codec;
    this.#onUnencodable = onUnencodable;
  }

  /** Whether nothing more may be written, or could arrive. */
  get isOver(): boolean {
    return this.#isOver || this.#out.isClosed;
  }

  /** Bytes written so far. */
  get bytes(): number {
    return this.#out.sentBytes + this.#out.buffer.length;
  }

  /** Whether to wait for {@linkcode drained} before the next item. */
  get isFull(): boolean {
    return this.#out.isFull;
  }

  /** Resolves when there is room again, or the frontend is gone. */
  drained(): Promise<void> {
    return this.#out.drained();
  }

  /** Says that the engine has the request. */
  begin(): void {
    if (this.isOver || this.#hasPrologue) return;
    this.#hasPrologue = true;
    this.#write(PROLOGUE_OK);
  }

  /** Refuses the request instead; this is the whole answer. */
  refuse(error: DynamoError): void {
    if (this.isOver) return;
    this.#write(encodePrologueError(error));
    this.#isOver = true;
    this.#out.hangUp();
  }

  /** Adds an item; one that cannot be encoded becomes the error that says so, and ends the answer. */
  add(item: Item): void {
    if (this.isOver) return;
    try {
      encodeItem(this.#out.buffer, item, this.#codec);
      this.#out.commit();
    } catch (error) {
      this.#onUnencodable();
      this.fail(DynamoError.from(error));
    }
  }

  /** Ends the answer with an error. */
  fail(error: DynamoError): void {
    if (this.isOver) return;
    this.begin();
    encodeItem(this.#out.buffer, error, this.#codec);
    this.finish();
  }

  /** Ends the answer. */
  finish(): void {
    if (this.isOver) return;
    this.#out.buffer.append(FINAL[this.#codec]);
    this.#write(SENTINEL);
    this.#isOver = true;
    this.#out.end();
  }

  /** Drops the answer: nobody wants it. */
  drop(): void {
    this.#isOver = true;
    this.#out.destroy();
  }

  #write(frame: Uint8Array): void {
    this.#out.buffer.append(frame);
    this.#out.commit();
  }
}
