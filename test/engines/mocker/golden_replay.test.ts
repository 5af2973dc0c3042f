import assert from "node:assert/strict";
import { test } from "node:test";
import {
  differences,
  goldenNamesWith,
  goldenReplay,
  goldenReplayNames,
  goldenReplayWith,
} from "../../support/golden_replay.ts";

test("there are as many recorded replays as the documentation says", () => {
  const counts = [goldenReplayNames(), goldenNamesWith("tiers"), goldenNamesWith("states")].map(({ length }) => length);
  assert.deepEqual(counts, [61, 13, 8]);
});

for (const name of goldenReplayNames()) {
  test(`the replay ${name} is the peer's to the last bit`, async () => {
    assert.deepEqual(await differences(goldenReplay(name)), []);
  });
}

for (const what of ["tiers", "states"] as const) {
  for (const name of goldenNamesWith(what)) {
    test(`the replay ${name} with ${what} is the peer's to the last bit`, async () => {
      assert.deepEqual(await differences(goldenReplayWith(what, name)), []);
    });
  }
}
