/**
 * What becomes of an engine's batches of KV events on their way to routers.
 *
 * @module
 */
import type { KvEventMetrics } from "../observe/kv_event_metrics.ts";
import type { Log } from "../observe/log.ts";
import { decodeEngineBatch, type EngineBatch } from "../protocol/engine_batch.ts";
import type { KvChange } from "./change.ts";
import { type EngineEventOptions, EngineEventTranslator, type Translation } from "./engine_events.ts";
import type { KvEventLog } from "./event_log.ts";

/** What a relay works with. */
export interface EngineRelayParts extends EngineEventOptions {
  /** Rank that the publisher speaks for. */
  readonly dpRank: number;
  /** Numbers the events. */
  readonly events: KvEventLog;
  /** Takes each payload for the topic `kv-events`, in order. Must not throw. */
  readonly send: (payload: Uint8Array) => void;
  /** Counts. */
  readonly metrics: KvEventMetrics;
  /** Log. */
  readonly log: Log;
}

/** Translates batches of one engine, counts what happens to them, and sends what routers should know. */
export class EngineRelay {
  readonly #parts: EngineRelayParts;
  readonly #told = new Set<string>();
  #translator: EngineEventTranslator;

  /** Has seen nothing yet. */
  constructor(parts: EngineRelayParts) {
    this.#parts = parts;
    this.#translator = new EngineEventTranslator(parts);
  }

  /** Takes one batch, as MessagePack. One that cannot be used is dropped whole and counted; a warning says so once. */
  take(bytes: Uint8Array): void {
    try {
      const batch = decodeEngineBatch(bytes);
      if (this.#isForeign(batch)) return;
      const translations = this.#translator.translate(batch);
      for (const translation of translations) this.#count(translation);
      this.#append(translations.flatMap((each) => "change" in each ? [each.change] : []));
    } catch (error) {
      this.unreadable(error);
    }
  }

  /** Something that is no batch came. */
  unreadable(error: unknown): void {
    this.#parts.metrics.batchDropped("unreadable");
    this.#warnOnce("unreadable", "KV events of the engine cannot be read and are dropped", { error });
  }

  /** The engine began anew: routers are told that the rank holds nothing. */
  restarted(): void {
    const { dpRank, log } = this.#parts;
    log.warn("The engine began anew; its KV blocks are taken back", { dp_rank: dpRank });
    this.#translator = new EngineEventTranslator(this.#parts);
    this.#append([{ data: "cleared", tier: "device", dpRank }]);
  }

  /** Batches of the engine are lost for good. */
  lost(batches: number): void {
    this.#parts.metrics.engineDropped(batches);
    this.#warnOnce("lost", "KV events of the engine got lost; its prefixes are found less often", { batches });
  }

  #append(changes: readonly KvChange[]): void {
    const { events, send } = this.#parts;
    for (const payload of events.append(changes)) send(payload);
  }

  /** Routers drop events of a rank that is not their publisher's. @source dynamo-llm 1.6.1, KV router */
  #isForeign({ data_parallel_rank: rank }: EngineBatch): boolean {
    const { dpRank, metrics } = this.#parts;
    if (rank === dpRank) return false;
    metrics.batchDropped("foreign_rank");
    const fix = `give that rank a source of its own, or have the engine stamp its batches with ${dpRank}`;
    this.#warnOnce("rank", `KV events of rank ${rank} came to the source of rank ${dpRank} and are dropped; ${fix}`);
    return true;
  }

  #count(translation: Translation): void {
    const { metrics } = this.#parts;
    const { type } = translation;
    metrics.zmqEvent("received", type);
    if ("filtered" in translation) return metrics.zmqFiltered(type, translation.filtered);
    metrics.zmqEvent("accepted", type);
    if ("unusable" in translation) {
      metrics.zmqUnusable(type);
      return this.#warnOnce("unusable", `A KV event of the engine is dropped: ${translation.unusable}`);
    }
    const { change: { data }, left } = translation;
    if (data !== "cleared" && "stored" in data && data.stored.blocks.length === 0) metrics.zmqEmpty(type);
    if (left > 0) {
      const { blockSize } = this.#parts;
      this.#warnOnce("left", "Some stored blocks are not published: they are not full, or of another size", {
        blocks: left,
        expected_block_size: blockSize,
      });
    }
  }

  #warnOnce(what: string, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    const { log, dpRank } = this.#parts;
    if (this.#told.has(what)) return log.debug(message, { dp_rank: dpRank, ...fields });
    this.#told.add(what);
    log.warn(message, { dp_rank: dpRank, ...fields });
  }
}
