import assert from "node:assert/strict";
import { test } from "node:test";
import { StopStrings } from "../../src/gateway/stop_strings.ts";

/** The text shown for pieces, and whether a stop string ended it. */
function run(stops: readonly string[], pieces: readonly string[]): { shown: string; isStopped: boolean } {
  const matcher = new StopStrings(stops);
  let shown = "";
  for (const piece of pieces) {
    const { text, isStopped } = matcher.push(piece);
    shown += text;
    if (isStopped) return { shown, isStopped };
  }
  return { shown: shown + matcher.flush(), isStopped: false };
}

test("push() without stop strings passes text on", () => {
  assert.deepEqual(new StopStrings([""]).push("abc"), { text: "abc", isStopped: false });
});

test("push() holds back what may become a stop string, and shows it when it does not", () => {
  const matcher = new StopStrings(["abc"]);
  assert.deepEqual(matcher.push("xab"), { text: "x", isStopped: false });
  assert.deepEqual(matcher.push("ab"), { text: "ab", isStopped: false });
  assert.deepEqual(matcher.push("d"), { text: "abd", isStopped: false });
  assert.equal(matcher.flush(), "");
});

test("push() stops at the earliest of several strings", () => {
  assert.deepEqual(run(["yy", "xx"], ["a xx b yy"]), { shown: "a ", isStopped: true });
});

test("flush() shows a beginning that never became a stop string", () => {
  assert.deepEqual(run(["abc"], ["xab"]), { shown: "xab", isStopped: false });
});

test("push() finds what a search of the whole text finds, however it is cut", () => {
  const stops = ["aab", "bb"];
  for (let bits = 0; bits < 2 ** 10; bits++) {
    const whole = bits.toString(2).padStart(10, "0").replaceAll("0", "a").replaceAll("1", "b");
    const at = Math.min(...stops.map((stop) => whole.indexOf(stop)).filter((index) => index >= 0));
    const expected = at === Infinity
      ? { shown: whole, isStopped: false }
      : { shown: whole.slice(0, at), isStopped: true };
    for (const size of [1, 2, 3, 10]) {
      const pieces = whole.match(new RegExp(`.{1,${size}}`, "g")) ?? [];
      assert.deepEqual(run(stops, pieces), expected, `${whole} by ${size}`);
    }
  }
});
