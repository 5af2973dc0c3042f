import assert from "node:assert/strict";
import { test } from "node:test";
import { modelledMs } from "../../../engines/mocker/duration.ts";
import { readTimingTable } from "../../../engines/mocker/npz.ts";
import { fixedTiming, POLYNOMIAL, tableTiming, timingModel } from "../../../engines/mocker/timing.ts";
import { goldenBytes, goldenText } from "../../support/golden.ts";

test("POLYNOMIAL gives the durations of the notes", () => {
  assert.equal(modelledMs(POLYNOMIAL.prefillMs(1, 256, 0), 1).toFixed(6), "20.415971");
  assert.equal(modelledMs(POLYNOMIAL.prefillMs(1, 37, 0), 1).toFixed(6), "17.063784");
  assert.equal(modelledMs(POLYNOMIAL.decodeMs(1, 38, 16384), 1).toFixed(6), "5.865129");
  assert.equal(POLYNOMIAL.prefillMs(3, 8, 8), 0);
  assert.equal(POLYNOMIAL.decodeMs(1, 10, 0), POLYNOMIAL.decodeMs(1, 99, 10));
});

test("modelledMs() rounds to nanoseconds before and after the speed-up, halves to even", () => {
  assert.equal(modelledMs(1.0000004, 1), 1);
  assert.equal(modelledMs(1.0000006, 1), 1.000001);
  assert.equal(modelledMs(1000 / 1024, 1), 0.976562);
  assert.equal(modelledMs(3000 / 1024, 1), 2.929688);
  assert.equal(modelledMs(0.000004, 3).toFixed(12), "0.000001000000");
  assert.equal(modelledMs(20, 0), 20);
  for (const bad of [NaN, -1, Infinity]) assert.throws(() => modelledMs(bad, 1), RangeError);
});

test("fixedTiming() takes no time for prompts without new tokens", () => {
  const timing = fixedTiming(10, 2);
  assert.deepEqual([timing.prefillMs(1, 5, 0), timing.prefillMs(1, 5, 5), timing.decodeMs(9, 9, 9)], [10, 0, 2]);
});

test("readTimingTable() reads what NumPy wrote, and the table goes on in a straight line beyond its ends", async () => {
  const arrays = await readTimingTable(new Uint8Array(goldenBytes("mocker/replay/perf.npz")));
  const written = JSON.parse(goldenText("mocker/replay/perf.npz.json"));
  assert.deepEqual([...arrays.prefill_ttft_ms], written.prefill_ttft_ms);
  assert.deepEqual([...arrays.decode_itl], written.decode_itl.flat());
  const timing = tableTiming(arrays);
  assert.equal(timing.prefillMs(1, 1000, 0), 40);
  assert.equal(timing.prefillMs(1, 5000, 0), 200 + 160 / 3);
  assert.equal(timing.decodeMs(2, 1000, 0), 6);
  assert.equal(timing.decodeMs(1, 0, 0), 1);
  const external = { type: "external", provider: "dynamo_profile", config: { path: "p.npz" } } as const;
  assert.equal(timingModel(external, arrays).prefillMs(1, 1000, 0), 40);
  assert.throws(() => timingModel(external), /p\.npz/);
  assert.throws(() => tableTiming({ ...arrays, prefill_isl: Float64Array.of(3, 2, 1) }), /prefill_isl/);
  await assert.rejects(readTimingTable(new Uint8Array(50)), /no NPZ file/);
});
