/**
 * How long a pass takes.
 *
 * @module
 */
import { TimingTable, type TimingTableArrays } from "./timing_table.ts";

/** Predicts the two parts of a pass. */
export interface TimingModel {
  /**
   * Time of the prompt tokens of a pass.
   *
   * @param batch Requests with prompt tokens in this pass, at least 1.
   * @param meanLength Mean of their lengths up to the end of this pass's part, rounded down. @unit tokens
   * @param meanPrefix Mean of what they had before it, rounded down. @unit tokens
   * @returns Milliseconds.
   */
  prefillMs(batch: number, meanLength: number, meanPrefix: number): number;
  /**
   * Time of the decoding part of a pass.
   *
   * @param batch Requests that decode, at least 1.
   * @param activeTokens Sum of their context lengths. @unit tokens
   * @param capacityTokens Tokens the block pool holds. @unit tokens
   * @returns Milliseconds.
   */
  decodeMs(batch: number, activeTokens: number, capacityTokens: number): number;
}

/** Which timing model, as the engine arguments name it. */
export type TimingConfig =
  | { readonly type: "polynomial" }
  | { readonly type: "fixed"; readonly prefill_ms: number; readonly decode_ms: number }
  | {
    readonly type: "external";
    readonly provider: string;
    readonly config: { readonly path: string };
  };

/**
 * The default model: a parabola over new prompt tokens, and one over the fill of the block pool.
 *
 * Decoding does not depend on how many requests decode; that is the model.
 *
 * @source aisimulate-core 0.13.0, `perf_model.rs`, `polynomial_prefill_time`, `polynomial_decode_time`
 */
export const POLYNOMIAL: TimingModel = {
  prefillMs(batch, meanLength, meanPrefix) {
    const tokens = batch * Math.max(0, meanLength - meanPrefix);
    return tokens === 0 ? 0 : 4.209989e-07 * (tokens * tokens) + 1.518344e-02 * tokens + 1.650142e+01;
  },
  decodeMs(_batch, activeTokens, capacityTokens) {
    const fill = capacityTokens > 0 ? Math.min(activeTokens / capacityTokens, 1) : 1;
    return Math.max(-25.74 * (fill * fill) + 54.01 * fill + 5.74, 1);
  },
};

/** A model with one time for each part, whatever is in it. */
export function fixedTiming(prefillMs: number, decodeMs: number): TimingModel {
  return {
    prefillMs: (_batch, meanLength, meanPrefix) => meanLength > meanPrefix ? prefillMs : 0,
    decodeMs: () => decodeMs,
  };
}

/**
 * A model that reads a planner's profile.
 *
 * @source dynamo-mocker 1.6.1, `perf_model.rs`, `PerfModel::Interpolated`
 */
export function tableTiming(arrays: TimingTableArrays): TimingModel {
  const table = new TimingTable(arrays);
  return {
    prefillMs(batch, meanLength, meanPrefix) {
      const tokens = batch * Math.max(0, meanLength - meanPrefix);
      return tokens === 0 ? 0 : Math.max(table.prefill(tokens), 0);
    },
    decodeMs: (batch, activeTokens) => Math.max(table.decode(activeTokens, Math.floor(activeTokens / batch)), 1),
  };
}

/**
 * The timing model of engine arguments.
 *
 * @param arrays The profile that an external model's `path` names, already read.
 * @throws {RangeError} If an external model is named and no profile was read.
 */
export function timingModel(config: TimingConfig, arrays?: TimingTableArrays): TimingModel {
  if (config.type === "polynomial") return POLYNOMIAL;
  if (config.type === "fixed") return fixedTiming(config.prefill_ms, config.decode_ms);
  if (arrays === undefined) {
    throw new RangeError(`Cannot use timing_model.config.path ${config.config.path}: the profile was not read`);
  }
  return tableTiming(arrays);
}
