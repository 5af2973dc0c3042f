import assert from "node:assert/strict";
import { test } from "node:test";
import { MOST_COLUMNS, TimeGrid } from "../../../engines/mocker/replay/time_series.ts";
import { dice } from "../../support/mock_requests.ts";

test("each column has the least, the mean over time and the greatest of its time, however long the run is", () => {
  for (const [seed, steps, longest] of [[1, 40, 3], [2, 900, 40], [3, 300, 5000]] as const) {
    const random = dice(seed);
    const grid = new TimeGrid();
    const series = grid.add();
    const startMs = 1000;
    const spans: { from: number; to: number; value: number }[] = [];
    let now = startMs;
    let value = 0;
    for (let i = 0; i < steps; i++) {
      series.set(now, 99);
      // What lasts no time does not count.
      series.set(now, value = random(10));
      const to = now + (1 + random(longest)) / 4;
      spans.push({ from: now - startMs, to: to - startMs, value });
      now = to;
    }
    const { min, mean, max } = series.read(now);
    const { widthMs } = grid;
    const end = now - startMs;
    assert.equal(mean.length, Math.ceil(end / widthMs));
    assert.ok(mean.length <= MOST_COLUMNS && (mean.length > MOST_COLUMNS / 2 || widthMs < 1));
    for (let i = 0; i < mean.length; i++) {
      const [from, to] = [i * widthMs, Math.min(end, (i + 1) * widthMs)];
      const inside = spans.filter((span) => span.to > from && span.from < to);
      const sum = inside.reduce((sum, one) => sum + one.value * (Math.min(to, one.to) - Math.max(from, one.from)), 0);
      assert.equal(min[i], Math.min(...inside.map((one) => one.value)));
      assert.equal(max[i], Math.max(...inside.map((one) => one.value)));
      assert.ok(Math.abs(mean[i]! - sum / (to - from)) < 1e-9);
    }
  }
});

test("series of one grid have columns of the same time, also one that was never set or that came late", () => {
  const grid = new TimeGrid();
  const [first, never] = [grid.add(), grid.add()];
  first.set(50, 2);
  first.set(1050, 0);
  const late = grid.add();
  late.set(2050, 4);
  const [a, b, c] = [first, never, late].map((series) => series.read(3050));
  assert.equal(new Set([a, b, c].map((columns) => columns!.mean.length)).size, 1);
  assert.deepEqual([Math.max(...b!.max), Math.min(...b!.min)], [0, 0]);
  assert.deepEqual([a!.mean[0], c!.mean[0], a!.mean.at(-1), c!.mean.at(-1)], [2, 0, 0, 4]);
});

test("a run without time has one column", () => {
  const series = new TimeGrid().add();
  series.set(7, 3);
  assert.deepEqual(series.read(7), { min: Float64Array.of(3), mean: Float64Array.of(3), max: Float64Array.of(3) });
});
