import assert from "node:assert/strict";
import { test } from "node:test";
import { differences, goldenReplay, goldenReplayNames } from "../../support/golden_replay.ts";

/** Recorded replays that are not reproduced, with the complaint that says why. */
const NOT_REPRODUCED: Readonly<Record<string, RegExp>> = {
};

test("there are as many recorded replays as the documentation says", () => {
  assert.equal(goldenReplayNames().length, 61);
});

for (const name of goldenReplayNames()) {
  const complaint = NOT_REPRODUCED[name];
  if (complaint === undefined) {
    test(`the replay ${name} is the peer's to the last bit`, async () => {
      assert.deepEqual(await differences(goldenReplay(name)), []);
    });
  } else {
    test(`the replay ${name} is refused in words`, async () => {
      await assert.rejects(differences(goldenReplay(name)), complaint);
    });
  }
}
