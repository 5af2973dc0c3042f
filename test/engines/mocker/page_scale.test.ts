import assert from "node:assert/strict";
import { test } from "node:test";
import { figure, logTicks, roundStep, ticks, ticksBetween, timeUnit } from "../../../engines/mocker/page/scale.ts";

test("ticks are round and go past the greatest value", () => {
  assert.deepEqual(ticks(7.3, 4), [0, 2, 4, 6, 8]);
  assert.deepEqual(ticks(0.31, 4), [0, 0.1, 0.2, 0.3, 0.4]);
  assert.deepEqual(ticks(2, 4, 1), [0, 1, 2]);
  assert.deepEqual([ticks(0, 4), ticks(0, 4, 1)], [[0, 1], [0, 1]]);
  assert.deepEqual(ticksBetween(17, 66, 6), [20, 30, 40, 50, 60]);
  assert.deepEqual(logTicks(6, 150), [10, 30, 100]);
  assert.deepEqual(logTicks(6, 60), [7, 10, 15, 20, 30, 50]);
  assert.deepEqual(logTicks(0.5, 9000), [1, 10, 100, 1000]);
  assert.deepEqual([roundStep(1), roundStep(1.01), roundStep(0.0021)], [1, 2, 0.005]);
});

test("figures are short, and lengths of time have a handy unit", () => {
  assert.deepEqual([0, 12, 1234, 12345, 1234567, 0.12345, 12345.6, 5e-7].map(figure), [
    "0",
    "12",
    "1234",
    "12\u202f345",
    "1\u202f234\u202f567",
    "0.1235",
    "12\u202f346",
    "5.000e-7",
  ]);
  assert.deepEqual([500, 90_000, 3_000_000, 86_400_000].map((ms) => timeUnit(ms).name), ["ms", "s", "min", "h"]);
});
