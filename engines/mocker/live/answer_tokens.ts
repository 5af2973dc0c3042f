/**
 * Which tokens an answer has, and when it stops by itself.
 *
 * @module
 */
import type { GenerateRequest } from "@stator/worker";
import type { ReasoningArgs } from "../dynamo_args.ts";
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
  /** The reasoning part of answers; `null` if they have none. */
  readonly reasoning: ReasoningArgs | null;
}

/** How long an answer is to be. */
export interface AnswerPlan {
  /** Most tokens. */
  readonly maxTokens: number;
  /** The tokens themselves, if they are planned: they come as they are, and nothing ends them early. */
  readonly ids?: Uint32Array;
}

/** The tokens of one answer: the same for the same prompt and seed. */
export class AnswerTokens {
  readonly #settings: AnswerSettings;
  readonly #planned: Uint32Array | undefined;
  readonly #seed: number;
  readonly #eos: number | undefined;
  readonly #stops: ReadonlySet<number>;
  readonly #minTokens: number;
  /** Place of the end of the reasoning part; -1 if there is none. */
  readonly #thoughtsEnd: number;

  /** Prepares an answer. */
  constructor(request: GenerateRequest, settings: AnswerSettings, { maxTokens, ids }: AnswerPlan) {
    this.#settings = settings;
    this.#planned = ids;
    const { seed } = request.sampling_options;
    this.#seed = seedOf(seed === null ? settings.seed : Number(BigInt.asIntN(32, seed)), request.token_ids);
    const { stop_token_ids, stop_token_ids_hidden, min_tokens, ignore_eos } = request.stop_conditions;
    const eos = ignore_eos === true ? [] : request.eos_token_ids;
    const hidden = ignore_eos === true ? [] : stop_token_ids_hidden ?? [];
    this.#eos = eos[0] ?? hidden[0];
    const mayStop = settings.honourStops && ids === undefined;
    this.#stops = new Set(mayStop ? [...eos, ...hidden, ...stop_token_ids ?? []] : []);
    this.#minTokens = min_tokens ?? 0;
    this.#thoughtsEnd = thinkingTokens(settings.reasoning, maxTokens) - 1;
  }

  /** The token at a place, from 0. */
  at(place: number): number {
    const { firstTokenId, tokenIds, honourStops, eosRate, reasoning } = this.#settings;
    // A scheduler that drafts may look beyond the end of the plan.
    if (this.#planned !== undefined) return this.#planned[place] ?? firstTokenId;
    if (reasoning !== null && this.#thoughtsEnd >= 0) {
      if (place === 0) return reasoning.start_thinking_token_id;
      if (place === this.#thoughtsEnd) return reasoning.end_thinking_token_id;
    }
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

/**
 * Tokens of the reasoning part, its marks included; 0 if there is none.
 *
 * @source dynamo-mocker 1.6.1, `common/protocols.rs`, `num_thinking_tokens`
 */
function thinkingTokens(reasoning: ReasoningArgs | null, maxTokens: number): number {
  const share = Math.floor(maxTokens * (reasoning?.thinking_ratio ?? 0));
  return share === 0 || maxTokens < 2 ? 0 : Math.max(2, share);
}
