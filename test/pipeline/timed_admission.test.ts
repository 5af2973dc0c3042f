import assert from "node:assert/strict";
import { test } from "node:test";
import { TimedAdmission } from "../../src/pipeline/timed_admission.ts";
import { FakeClock } from "../support/fake_clock.ts";

test("oldestAt is the arrival of the oldest request inside, running or waiting; a refused one does not count", async () => {
  const clock = new FakeClock();
  const admission = new TimedAdmission(1, 1, clock);
  const request = () => ({ fail() {} });
  assert.equal(admission.oldestAt, null);
  await clock.advance(10);
  const first = admission.tryEnter(request());
  await clock.advance(10);
  const second = admission.tryEnter(request());
  assert.equal(admission.oldestAt, 10);
  first![Symbol.dispose]();
  await second!.entered;
  assert.equal(admission.oldestAt, 20);
  assert.deepEqual([admission.load.active, admission.load.queued], [1, 0]);
  const third = admission.tryEnter(request());
  assert.equal(admission.tryEnter(request()), null);
  third![Symbol.dispose]();
  assert.equal(admission.oldestAt, 20);
  second![Symbol.dispose]();
  assert.equal(admission.oldestAt, null);
  await admission.idle();
});
