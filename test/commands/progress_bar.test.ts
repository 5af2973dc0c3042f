import assert from "node:assert/strict";
import { test } from "node:test";
import { ProgressBar } from "../../src/commands/progress_bar.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { platformWith } from "../support/worker_rig.ts";

/** A bar over fake time; with what it wrote. */
function barOn(isErrorTerminal: boolean) {
  const clock = new FakeClock();
  const lines: string[] = [];
  const { process } = platformWith();
  const printError = (line: string) => void lines.push(line);
  const platform = platformWith({ clock, process: { ...process, isErrorTerminal, printError } });
  return { clock, lines, bar: new ProgressBar(platform, "requests") };
}

test("a terminal sees one line that moves, with the time that is left", async () => {
  const { clock, lines, bar } = barOn(true);
  bar.update(1, 400);
  await clock.advance(999);
  bar.update(99, 400);
  assert.deepEqual(lines, []);
  await clock.advance(1);
  bar.update(100, 400);
  assert.deepEqual(lines, ["[########........................]  25 %  100 of 400 requests, 3 s left"]);
  bar.update(101, 400);
  await clock.advance(1000);
  bar.update(101, 4000);
  assert.deepEqual(lines.slice(1), [
    "\x1b[1A\x1b[2K[................................]   2 %  101 of 4000 requests, 1:18 min left",
  ]);
  await clock.advance(500);
  bar.finish(400, 400);
  assert.match(lines.at(-1)!, /\[#{32}\] 100 % {2}400 of 400 requests in 3 s$/);
});

test("elsewhere each look is a line, and there are few", async () => {
  const { clock, lines, bar } = barOn(false);
  for (let done = 0; done < 3600 * 24; done++) {
    if (done % 5000 === 0) await clock.advance(5000);
    bar.update(done, 3600 * 24 * 400);
  }
  assert.ok(lines.length >= 8 && lines.length <= 9);
  assert.ok(lines.every((line) => !line.includes("\x1b")));
  assert.match(lines.at(-1)!, /, \d+:\d\d h left$/);
});

test("a short command shows nothing, and one of which nothing is done yet no time", async () => {
  const short = barOn(true);
  short.bar.update(5, 5);
  short.bar.finish(5, 5);
  assert.deepEqual(short.lines, []);
  const { clock, lines, bar } = barOn(true);
  await clock.advance(2000);
  bar.update(0, 5);
  assert.match(lines[0]!, /0 of 5 requests$/);
});
