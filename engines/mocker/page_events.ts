/**
 * Which pages others know of.
 *
 * @source aisimulate-core 0.13.0, `sglang_backend.rs`, `publish_stored_hashes`, `publish_removed_pages`
 * @module
 */
import type { EngineRequest } from "./engine_request.ts";
import type { KvEventLog } from "./kv_event.ts";

const HIGH = 2 ** 32;
const HIGH_MASK = 0x1fffff;

/** Notes content that appears in a first page and content that leaves with a last one. */
export class PageEvents {
  readonly #log: KvEventLog;
  readonly #isKnown: Uint8Array;
  readonly #low: Uint32Array;
  readonly #high: Uint32Array;
  /** Pages with the same content. */
  readonly #copies = new Map<number, number>();

  /** Begins with pages that have no content. */
  constructor(capacity: number, log: KvEventLog) {
    this.#log = log;
    this.#isKnown = new Uint8Array(capacity);
    this.#low = new Uint32Array(capacity);
    this.#high = new Uint32Array(capacity);
  }

  /** Contents that are in some page. */
  get contents(): number {
    return this.#copies.size;
  }

  /** Pages of a request are full now. From the first that is new on, all are told. */
  stored({ sequence, blocks }: EngineRequest, from: number, to: number): void {
    let isTelling = false;
    for (let place = from; place < to; place++) {
      const page = blocks[place]!;
      if (this.#isKnown[page] === 1) continue;
      this.#isKnown[page] = 1;
      this.#low[page] = sequence.hashes[2 * place]!;
      this.#high[page] = sequence.hashes[2 * place + 1]!;
      const key = this.#key(page);
      const copies = (this.#copies.get(key) ?? 0) + 1;
      this.#copies.set(key, copies);
      isTelling ||= copies === 1;
      if (isTelling) this.#log.stored(sequence, place);
    }
    this.#log.flush();
  }

  /** Pages become free. */
  removed(pages: Int32Array | readonly number[]): void {
    for (const page of pages) {
      if (this.#isKnown[page] === 0) continue;
      this.#isKnown[page] = 0;
      const key = this.#key(page);
      const copies = this.#copies.get(key)! - 1;
      if (copies > 0) {
        this.#copies.set(key, copies);
        continue;
      }
      this.#copies.delete(key);
      this.#log.removed(this.#low[page]!, this.#high[page]!);
    }
    this.#log.flush();
  }

  #key(page: number): number {
    return (this.#high[page]! & HIGH_MASK) * HIGH + this.#low[page]!;
  }
}
