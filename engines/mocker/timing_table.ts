/**
 * Interpolation in a planner's profile.
 *
 * @module
 */

/** The arrays of a profile, as its NPZ file names them. */
export interface TimingTableArrays {
  /** New prompt tokens of the points of `prefill_ttft_ms`, rising. @unit tokens */
  readonly prefill_isl: Float64Array;
  /** Time to first token at each point. @unit milliseconds */
  readonly prefill_ttft_ms: Float64Array;
  /** Rows of `decode_itl`: tokens in the cache, rising. @unit tokens */
  readonly decode_active_kv_tokens: Float64Array;
  /** Columns of `decode_itl`: mean context length, rising. @unit tokens */
  readonly decode_context_length: Float64Array;
  /** Time of a decoding step, row by row. @unit milliseconds */
  readonly decode_itl: Float64Array;
}

/**
 * Linear and bilinear interpolation, extended in a straight line beyond the ends.
 *
 * @source dynamo-mocker 1.6.1, `perf_model.rs`, with the arithmetic of ndarray-interp, `Linear` and `Bilinear`
 */
export class TimingTable {
  readonly #arrays: TimingTableArrays;

  /**
   * Checks that the arrays fit together.
   *
   * @throws {RangeError} If an axis has less than two points or does not rise, or if lengths do not match.
   */
  constructor(arrays: TimingTableArrays) {
    this.#arrays = arrays;
    checkAxis("prefill_isl", arrays.prefill_isl);
    checkAxis("decode_active_kv_tokens", arrays.decode_active_kv_tokens);
    checkAxis("decode_context_length", arrays.decode_context_length);
    checkLength("prefill_ttft_ms", arrays.prefill_ttft_ms, arrays.prefill_isl.length);
    const cells = arrays.decode_active_kv_tokens.length * arrays.decode_context_length.length;
    checkLength("decode_itl", arrays.decode_itl, cells);
  }

  /** Prefill time at a number of new prompt tokens. @unit milliseconds */
  prefill(tokens: number): number {
    const { prefill_isl: xs, prefill_ttft_ms: ys } = this.#arrays;
    const i = leftOf(xs, tokens);
    return line(xs[i]!, ys[i]!, xs[i + 1]!, ys[i + 1]!, tokens);
  }

  /** Time of a decoding step. @unit milliseconds */
  decode(activeTokens: number, contextLength: number): number {
    const { decode_active_kv_tokens: xs, decode_context_length: ys, decode_itl: zs } = this.#arrays;
    const i = leftOf(xs, activeTokens);
    const j = leftOf(ys, contextLength);
    const here = i * ys.length + j;
    const below = here + ys.length;
    const first = line(xs[i]!, zs[here]!, xs[i + 1]!, zs[below]!, activeTokens);
    const second = line(xs[i]!, zs[here + 1]!, xs[i + 1]!, zs[below + 1]!, activeTokens);
    return line(ys[j]!, first, ys[j + 1]!, second, contextLength);
  }
}

function line(x1: number, y1: number, x2: number, y2: number, x: number): number {
  return (y2 - y1) / (x2 - x1) * (x - x1) + y1;
}

/** The last point at or left of `x`, but never the very last one. */
function leftOf(axis: Float64Array, x: number): number {
  let i = axis.length - 2;
  while (i > 0 && axis[i]! > x) i--;
  return i;
}

function checkAxis(name: string, axis: Float64Array): void {
  if (axis.length < 2 || axis.some((value, i) => i > 0 && !(value > axis[i - 1]!))) {
    throw new RangeError(`Cannot use the profile: ${name} needs at least two values, each greater than the one before`);
  }
}

function checkLength(name: string, array: Float64Array, length: number): void {
  if (array.length !== length) {
    throw new RangeError(`Cannot use the profile: ${name} has ${array.length} values where ${length} are needed`);
  }
}
