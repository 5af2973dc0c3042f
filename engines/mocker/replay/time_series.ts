/**
 * Values that change in steps, in a bounded number of columns whatever the length of a run.
 *
 * @module
 */

/** Most columns of a series; a power of two. */
export const MOST_COLUMNS = 256;
/** Width of a column at first. @unit milliseconds */
const FIRST_WIDTH_MS = 1 / 16;

/** A series as it is read: one entry a column. */
export interface Columns {
  /** Least value. */
  readonly min: Float64Array;
  /** Mean over the time of the column. */
  readonly mean: Float64Array;
  /** Greatest value. */
  readonly max: Float64Array;
}

/**
 * Columns of equal width that all series of a run share. The first begins with the first event; when they are full,
 * pairs are joined, so that there are more than half of {@linkcode MOST_COLUMNS} in a long run.
 */
export class TimeGrid {
  /** Width of a column. @unit milliseconds */
  widthMs: number = FIRST_WIDTH_MS;
  /** Time of the first event; none yet: `undefined`. @unit milliseconds */
  startMs: number | undefined;
  readonly #series: TimeSeries[] = [];

  /** Adds a series that is 0 from the beginning. */
  add(): TimeSeries {
    const series = new TimeSeries(this);
    this.#series.push(series);
    return series;
  }

  /** Time since the beginning, and room for it. @unit milliseconds */
  reach(nowMs: number): number {
    this.startMs ??= nowMs;
    const at = nowMs - this.startMs;
    while (at > this.widthMs * MOST_COLUMNS) {
      this.widthMs *= 2;
      for (const series of this.#series) series.joinPairs();
    }
    return at;
  }
}

/** One value over time: least, mean and greatest of each column. A state that lasts no time does not count. */
export class TimeSeries {
  readonly #grid: TimeGrid;
  /** Value times milliseconds. */
  readonly #sum = new Float64Array(MOST_COLUMNS);
  readonly #min = new Float64Array(MOST_COLUMNS).fill(Infinity);
  readonly #max = new Float64Array(MOST_COLUMNS).fill(-Infinity);
  #value = 0;
  #since = 0;

  /** Makes one on a grid; {@linkcode TimeGrid.add} does. */
  constructor(grid: TimeGrid) {
    this.#grid = grid;
  }

  /** From now on it has this value. Time does not go back. */
  set(nowMs: number, value: number): void {
    const at = this.#grid.reach(nowMs);
    if (value === this.#value) return;
    this.#hold(at);
    this.#value = value;
  }

  /** What it was until now. */
  read(nowMs: number): Columns {
    const end = this.#grid.reach(nowMs);
    this.#hold(end);
    const { widthMs } = this.#grid;
    const count = Math.max(1, Math.ceil(end / widthMs));
    const mean = this.#sum.slice(0, count).map((sum, i) => sum / (Math.min(end, (i + 1) * widthMs) - i * widthMs));
    if (end > 0) return { min: this.#min.slice(0, count), mean, max: this.#max.slice(0, count) };
    const only = Float64Array.of(this.#value);
    return { min: only, mean: only, max: only };
  }

  /** Makes columns twice as wide. */
  joinPairs(): void {
    const half = MOST_COLUMNS / 2;
    for (let i = 0; i < half; i++) {
      this.#sum[i] = this.#sum[2 * i]! + this.#sum[2 * i + 1]!;
      this.#min[i] = Math.min(this.#min[2 * i]!, this.#min[2 * i + 1]!);
      this.#max[i] = Math.max(this.#max[2 * i]!, this.#max[2 * i + 1]!);
    }
    this.#sum.fill(0, half);
    this.#min.fill(Infinity, half);
    this.#max.fill(-Infinity, half);
  }

  #hold(until: number): void {
    const { widthMs } = this.#grid;
    let from = this.#since;
    for (let i = Math.floor(from / widthMs); from < until; i++) {
      const to = Math.min(until, (i + 1) * widthMs);
      this.#sum[i]! += this.#value * (to - from);
      if (this.#value < this.#min[i]!) this.#min[i] = this.#value;
      if (this.#value > this.#max[i]!) this.#max[i] = this.#value;
      from = to;
    }
    this.#since = until;
  }
}
