import assert from "node:assert/strict";
import { test } from "node:test";
import { ChachaCoin } from "../../../engines/mocker/coin.ts";
import { acceptRates, DraftSampler } from "../../../engines/mocker/speculation.ts";

test("acceptRates() fills up with zeros and cuts what is too much", () => {
  assert.deepEqual(acceptRates(3, null), [0.85, 0.3, 0]);
  assert.deepEqual(acceptRates(2, "0.5, 0.25,1"), [0.5, 0.25]);
  assert.throws(() => acceptRates(0, null), RangeError);
});

test("a DraftSampler stops at the first draft that is not accepted", () => {
  const coin = { flip: (rate: number) => rate >= 1 };
  assert.equal(new DraftSampler([1, 1, 0, 1], coin).draw(), 3);
  assert.equal(new DraftSampler([1, 1], coin).draw(), 3);
  assert.equal(new DraftSampler([0], coin).draw(), 1);
});

test("a ChachaCoin falls as often as it should, and the same for the same seed", () => {
  const flips = (seed: number) => {
    const coin = new ChachaCoin(seed);
    return Array.from({ length: 20_000 }, () => coin.flip(0.3));
  };
  const share = flips(42).filter(Boolean).length / 20_000;
  assert.ok(Math.abs(share - 0.3) < 0.02, `${share}`);
  assert.deepEqual(flips(42), flips(42));
  assert.notDeepEqual(flips(42), flips(43));
});
