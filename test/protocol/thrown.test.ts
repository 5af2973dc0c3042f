import assert from "node:assert/strict";
import { test } from "node:test";
import { describeThrown } from "../../src/protocol/thrown.ts";

const hostile = Object.defineProperty(new Error("x"), "message", {
  get() {
    throw new Error("no");
  },
});
const self = new AggregateError([], "all failed");
self.errors.push(self);

const CASES: readonly (readonly [name: string, thrown: unknown, text: string])[] = [
  ["nothing", undefined, "undefined"],
  ["null", null, "null"],
  ["a text", "text", "text"],
  ["a number", 7, "7"],
  ["a symbol", Symbol("s"), "Symbol(s)"],
  ["a function", () => {}, "a function was thrown"],
  ["an error", new TypeError("bad"), "TypeError: bad"],
  ["a frozen error", Object.freeze(new Error("cold")), "Error: cold"],
  ["an error without text", new Error(), "Error"],
  ["an error without a name", Object.assign(new Error("x"), { name: "" }), "Error: x"],
  ["an error whose text throws", hostile, "a value that cannot be described was thrown"],
  ["something like an error", { name: "HttpError", message: "502" }, "HttpError: 502"],
  [
    "an object, by its names only",
    { code: 5, token: "abc" },
    "an object that is no Error was thrown, with code, token",
  ],
  ["an object without anything", Object.create(null), "an object that is no Error was thrown"],
  [
    "an AggregateError",
    new AggregateError([new Error("a"), "b", undefined], "both failed"),
    "AggregateError: both failed: [Error: a; b; undefined]",
  ],
  [
    "one of many",
    new AggregateError(Array.from({ length: 10 }, (_, i) => i)),
    "AggregateError: [0; 1; 2; 3; 4; 5; 6; 7; and 2 more]",
  ],
  ["one that holds itself", self, "AggregateError: all failed: [AggregateError: all failed]"],
];
for (const [name, thrown, text] of CASES) {
  test(`describeThrown() describes ${name}`, () => assert.equal(describeThrown(thrown), text));
}

test("describeThrown() is bounded", () => {
  const text = describeThrown(new Error("x".repeat(1e6)));
  assert.ok(text.length <= 4096 && text.endsWith("...[truncated]"));
});
