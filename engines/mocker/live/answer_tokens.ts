/**
 * Which tokens an answer has, and when it stops by itself.
 *
 * @module
 */
import type { GenerateRequest } from "@stator/worker";
import { happensAt, seedOf, wordAt } from "./dice.ts";

/** Where answers come from. */
export interface AnswerSettings {
  /** Least token id. */
  readonly firstTokenId: number;
  /** How many ids there are. */
  readonly tokenIds: number;
  /** What all choices follow from. */
  readonly seed: number;
  /** Whether end-of-sequence and stop tokens end an answer. */
  readonly honourStops: boolean;
  /** Chance that a token is the end of the sequence; needs `honourStops`. */
  readonly eosRate: number;
}

/** The tokens of one answer: the same for the same prompt and seed. */
export class AnswerTokens {
  readonly #settings: AnswerSettings;
  readonly #seed: number;
  readonly #eos: number | undefined;
  readonly #stops: ReadonlySet<number>;
  readonly #minTokens: number;

  /** Prepares an answer. */
  constructor(request: GenerateRequest, settings: AnswerSettings) {
    this.#settings = settings;
    const { seed } = request.sampling_options;
    this.#seed = seedOf(seed === null ? settings.seed : Number(BigInt.asIntN(32, seed)), request.token_ids);
    const { stop_token_ids, stop_token_ids_hidden, min_tokens, ignore_eos } = request.stop_conditions;
    const eos = ignore_eos === true ? [] : request.eos_token_ids;
    const hidden = ignore_eos === true ? [] : stop_token_ids_hidden ?? [];
    this.#eos = eos[0] ?? hidden[0];
    this.#stops = new Set(settings.honourStops ? [...eos, ...hidden, ...stop_token_ids ?? []] : []);
    this.#minTokens = min_tokens ?? 0;
  }

  /** The token at a place, from 0. */
  at(place: number): number {
    const { firstTokenId, tokenIds, honourStops, eosRate } = this.#settings;
    if (honourStops && this.#eos !== undefined && this.#mayStop(place) && happensAt(~this.#seed, place, eosRate)) {
      return this.#eos;
    }
    return firstTokenId + wordAt(this.#seed, place) % tokenIds;
  }

  /** Whether a token at a place ends the answer. */
  endsWith(token: number, place: number): boolean {
    return this.#stops.has(token) && this.#mayStop(place);
  }

  #mayStop(place: number): boolean {
    return place + 1 >= this.#minTokens;
  }
}
