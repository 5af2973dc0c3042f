import assert from "node:assert/strict";
import { test } from "node:test";
import {
  differences,
  goldenReplay,
  goldenReplayNames,
  goldenTierNames,
  goldenTiers,
} from "../../support/golden_replay.ts";

test("there are as many recorded replays as the documentation says", () => {
  assert.deepEqual([goldenReplayNames().length, goldenTierNames().length], [61, 13]);
});

for (const name of goldenReplayNames()) {
  test(`the replay ${name} is the peer's to the last bit`, async () => {
    assert.deepEqual(await differences(goldenReplay(name)), []);
  });
}

for (const name of goldenTierNames()) {
  test(`the replay ${name} with tiers is the peer's to the last bit`, async () => {
    assert.deepEqual(await differences(goldenTiers(name)), []);
  });
}
