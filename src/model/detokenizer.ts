/**
 * Token ids to text, piece by piece.
 *
 * @module
 */
import type { DecodeOptions, Tokenizer } from "./tokenizer.ts";

const BROKEN = "\uFFFD";
/** Tokens that may wait for the rest of a character before some of them are given up as broken. */
const MAX_WAITING = 8;
/** A character has at most four bytes, so what is more than three tokens old is complete or broken for good. */
const MAX_CHARACTER_TOKENS = 4;

/**
 * Decodes a growing answer. All pieces together are the text of all tokens together; the cost of a piece does not
 * depend on the length of the answer.
 *
 * A piece is held back while it ends inside a character. Each window is decoded together with the tokens before it,
 * because what a token looks like may depend on its neighbour.
 */
export class Detokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #options: DecodeOptions;
  /** Tokens already shown that give the next ones their context, then tokens that wait. */
  #window: number[] = [];
  #shown = 0;
  #context = "";

  /** Starts an answer. */
  constructor(tokenizer: Tokenizer, options: DecodeOptions = {}) {
    this.#tokenizer = tokenizer;
    this.#options = options;
  }

  /** Adds a token and returns the text that is complete now, often one character, sometimes none. */
  push(id: number): string {
    this.#window.push(id);
    const text = this.#decode(this.#window);
    if (!text.endsWith(BROKEN)) return this.#show(this.#window.length, text);
    return this.#window.length - this.#shown > MAX_WAITING ? this.#giveUp(text) : "";
  }

  /** Returns what is held back, broken or not; call it once, at the end. */
  flush(): string {
    return this.#show(this.#window.length, this.#decode(this.#window));
  }

  /** Shows the oldest waiting tokens, cut where no character is torn apart. */
  #giveUp(text: string): string {
    const length = this.#window.length;
    for (let back = MAX_CHARACTER_TOKENS - 1; back < 2 * MAX_CHARACTER_TOKENS; back++) {
      const at = length - back;
      if (at <= this.#shown) break;
      const head = this.#decode(this.#window.slice(0, at));
      if (head + this.#decode(this.#window.slice(at)) === text) return this.#show(at, head);
    }
    return this.#show(length, text);
  }

  /** Takes the first `count` tokens of the window, whose text is `text`, as shown. */
  #show(count: number, text: string): string {
    const piece = text.slice(this.#context.length);
    // Tokens without text, such as special ones, must not push the context out.
    if (piece === "" && count === this.#window.length) {
      this.#shown = count;
      return this.#window.length > MAX_WAITING ? this.#forget(this.#window.length - MAX_CHARACTER_TOKENS) : "";
    }
    this.#window = this.#window.slice(this.#shown);
    this.#shown = count - this.#shown;
    this.#context = this.#decode(this.#window.slice(0, this.#shown));
    return piece;
  }

  /** Drops old context. */
  #forget(count: number): "" {
    this.#window = this.#window.slice(count);
    this.#shown = this.#window.length;
    this.#context = this.#decode(this.#window);
    return "";
  }

  #decode(ids: readonly number[]): string {
    return this.#tokenizer.decode(ids, this.#options);
  }
}
