/**
 * How many tokens one step of a drafting engine yields.
 *
 * @module
 */
import type { EngineArgs } from "./args.ts";
import { ChachaCoin, type Coin } from "./coin.ts";

const DEFAULT_RATES = [0.85, 0.3];
const MAX_DRAFTS = 5;

/**
 * The chance of each draft to be accepted, given that those before it were.
 *
 * @param drafts Drafted tokens a step, 1 to 5.
 * @param rates Comma-separated; missing ones are 0, more than needed are cut.
 * @throws {RangeError} If the number of drafts or a rate is out of range.
 * @source aisimulate-core 0.13.0, `speculative.rs`, `normalize_conditional_accept_rates`
 */
export function acceptRates(drafts: number, rates: string | null): number[] {
  if (!Number.isInteger(drafts) || drafts < 1 || drafts > MAX_DRAFTS) {
    throw new RangeError(`aic_nextn must be in 1..=${MAX_DRAFTS}, got ${drafts}`);
  }
  const text = rates?.trim() ?? "";
  const given = text === "" ? DEFAULT_RATES : text.split(",").map((rate, i) => parsedRate(rate, i));
  return Array.from({ length: drafts }, (_, i) => given[i] ?? 0);
}

function parsedRate(text: string, place: number): number {
  const rate = text.trim() === "" ? NaN : Number(text);
  if (!(rate >= 0 && rate <= 1)) {
    throw new RangeError(`aic_nextn_accept_rates[${place}] must be finite and in [0, 1], got ${text.trim()}`);
  }
  return rate;
}

/** Draws how many tokens a step yields. */
export class DraftSampler {
  /** Most tokens of a step. */
  readonly maxBurst: number;
  readonly #rates: readonly number[];
  readonly #coin: Coin;

  /** Draws with these rates. */
  constructor(rates: readonly number[], coin: Coin) {
    this.maxBurst = rates.length + 1;
    this.#rates = rates;
    this.#coin = coin;
  }

  /** One token and the drafts accepted before the first that is not. */
  draw(): number {
    let tokens = 1;
    for (const rate of this.#rates) {
      if (!this.#coin.flip(rate)) break;
      tokens++;
    }
    return tokens;
  }
}

/** The sampler that engine arguments ask for; none without drafting. */
export function draftSampler(args: EngineArgs, seedOffset: number): DraftSampler | undefined {
  if (args.aic_nextn === null) return undefined;
  const rates = acceptRates(args.aic_nextn, args.aic_nextn_accept_rates);
  return new DraftSampler(rates, new ChachaCoin(args.aic_mtp_seed + seedOffset));
}
