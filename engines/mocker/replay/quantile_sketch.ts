/**
 * Quantiles of any number of values in bounded memory, to a relative error.
 *
 * @module
 */

const RELATIVE_ACCURACY = 0.001;
const GAMMA = 1 + (2 * RELATIVE_ACCURACY) / (1 - RELATIVE_ACCURACY);
const PER_LN_GAMMA = 1 / Math.log1p((2 * RELATIVE_ACCURACY) / (1 - RELATIVE_ACCURACY));
const LN_GAMMA = 1 / PER_LN_GAMMA;
/** Values below count as zero. */
const SMALLEST = 2 ** -1022 * GAMMA;
const FIRST_BINS = 1024;

/**
 * A sketch with logarithmic bins and a thousandth of relative error, as the peer keeps for inter-token latencies.
 *
 * @source aisimulate-core 0.13.0, `report.rs`, `StreamingDistribution`; ddsketchy 0.1.8, `quantile`
 */
export class QuantileSketch {
  #bins = new Float64Array(FIRST_BINS);
  /** Key of the first bin. */
  #offset = 0;
  #zeros = 0;
  #positives = 0;
  #sum = 0;
  #squares = 0;
  #shift = 0;
  /** Smallest value. */
  min: number = Infinity;
  /** Greatest value. */
  max: number = -Infinity;

  /** How many values were added. */
  get count(): number {
    return this.#zeros + this.#positives;
  }

  /** Mean of the values; 0 of nothing. */
  get mean(): number {
    return this.count === 0 ? 0 : this.#shift + this.#sum / this.count;
  }

  /** Population standard deviation; 0 of nothing. */
  get deviation(): number {
    if (this.count === 0) return 0;
    const mean = this.#sum / this.count;
    return Math.sqrt(Math.max(0, this.#squares / this.count - mean * mean));
  }

  /** Adds a value, not negative, any number of times. */
  add(value: number, times = 1): void {
    if (this.count === 0) this.#shift = value;
    // Sums around the first value lose less to rounding than sums around zero.
    const centred = value - this.#shift;
    this.#sum += centred * times;
    this.#squares += centred * centred * times;
    if (value < this.min) this.min = value;
    if (value > this.max) this.max = value;
    if (value < SMALLEST) {
      this.#zeros += times;
      return;
    }
    const key = Math.ceil(Math.log(value) * PER_LN_GAMMA);
    this.#makeRoom(key);
    this.#bins[key - this.#offset]! += times;
    this.#positives += times;
  }

  /** The value at a percentile, by rounded rank. */
  percentile(percentile: number): number {
    const span = this.count - 1;
    if (span < 0) return 0;
    if (span === 0) return this.min;
    const rounded = Math.floor(span * percentile / 100 + 0.5);
    const quantile = rounded >= span ? 1 : (rounded + 0.5) / span;
    const rank = Math.floor(quantile * span);
    if (rank < this.#zeros) return 0;
    let seen = 0;
    for (let i = 0; i < this.#bins.length; i++) {
      seen += this.#bins[i]!;
      if (seen > rank - this.#zeros) return middleOf(i + this.#offset);
    }
    return this.max;
  }

  /** Values, to the relative error, with how often each was added. */
  *[Symbol.iterator](): Generator<readonly [number, number]> {
    if (this.#zeros > 0) yield [0, this.#zeros];
    for (let i = 0; i < this.#bins.length; i++) {
      if (this.#bins[i]! > 0) yield [middleOf(i + this.#offset), this.#bins[i]!];
    }
  }

  #makeRoom(key: number): void {
    if (this.#positives === 0 && this.#bins.length === FIRST_BINS) this.#offset = key - FIRST_BINS / 2;
    if (key >= this.#offset && key < this.#offset + this.#bins.length) return;
    const from = Math.min(key, this.#offset);
    const to = Math.max(key + 1, this.#offset + this.#bins.length);
    const spare = (to - from) >> 1;
    const bins = new Float64Array(to - from + 2 * spare);
    bins.set(this.#bins, this.#offset - from + spare);
    this.#bins = bins;
    this.#offset = from - spare;
  }
}

function middleOf(key: number): number {
  return Math.exp(key * LN_GAMMA) * (2 / (1 + GAMMA));
}
