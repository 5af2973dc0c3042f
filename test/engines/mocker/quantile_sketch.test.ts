import assert from "node:assert/strict";
import { test } from "node:test";
import { QuantileSketch } from "../../../engines/mocker/replay/quantile_sketch.ts";

test("percentiles are within a thousandth, mean and deviation exact", () => {
  const sketch = new QuantileSketch();
  const values = Array.from({ length: 9999 }, (_, i) => 0.001 * 1.002 ** ((i * 7919) % 9999));
  for (const value of values) sketch.add(value);
  const sorted = values.toSorted((a, b) => a - b);
  for (const percentile of [0, 50, 90, 99, 100]) {
    const exact = sorted[Math.floor(9998 * percentile / 100 + 0.5)]!;
    assert.ok(Math.abs(sketch.percentile(percentile) / exact - 1) <= 0.0010001, `${percentile}`);
  }
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  assert.ok(Math.abs(sketch.mean / mean - 1) < 1e-9);
  assert.deepEqual([sketch.min, sketch.max, sketch.count], [sorted[0], sorted.at(-1), 9999]);
});

test("a value added many times counts as often, zeros included", () => {
  const [once, often] = [new QuantileSketch(), new QuantileSketch()];
  for (const value of [0, 5, 5, 5, 9]) once.add(value);
  often.add(0);
  often.add(5, 3);
  often.add(9);
  for (const percentile of [0, 20, 50, 75, 100]) {
    assert.equal(often.percentile(percentile), once.percentile(percentile));
  }
  assert.deepEqual([often.mean, often.deviation], [once.mean, once.deviation]);
  assert.equal(new QuantileSketch().percentile(50), 0);
});

test("a sketch gives its values back, to the relative error, with how often each came", () => {
  const sketch = new QuantileSketch();
  sketch.add(0, 4);
  sketch.add(7, 2);
  sketch.add(9);
  const [zero, seven, nine] = [...sketch];
  assert.deepEqual([zero, seven?.[1], nine?.[1]], [[0, 4], 2, 1]);
  assert.ok(Math.abs(seven![0] / 7 - 1) < 0.0011 && Math.abs(nine![0] / 9 - 1) < 0.0011);
});
