import assert from "node:assert/strict";
import test from "node:test";
import { describeError, jsonValue, plainText, readableValue } from "../../src/observe/log_value.ts";

const KIB = 1024;

/** An object that is part of itself. */
function circle(): unknown {
  const object: Record<string, unknown> = { name: "x" };
  object.self = { again: object };
  return object;
}

function nested(depth: number): unknown {
  return depth === 0 ? "bottom" : [nested(depth - 1)];
}

const fails = (): never => {
  throw new Error("no");
};
const twice = { n: 1 };

const JSON_ROWS: readonly [name: string, value: unknown, expected: string | undefined][] = [
  ["a text", "two words", '"two words"'],
  ["a number", 1.5, "1.5"],
  ["no number", NaN, '"NaN"'],
  ["no end", -Infinity, '"-Infinity"'],
  ["a bigint", 18446744073709551615n, "18446744073709551615"],
  ["a bigint inside", { ids: [9007199254740993n] }, '{"ids":[9007199254740993]}'],
  ["a boolean", false, "false"],
  ["null", null, "null"],
  ["undefined", undefined, undefined],
  ["undefined inside", { a: undefined, b: 1 }, '{"b":1}'],
  ["a symbol", Symbol("s"), '"Symbol(s)"'],
  ["a function", fails, '"[function fails]"'],
  ["a date", new Date(0), '"1970-01-01T00:00:00.000Z"'],
  ["no date", new Date(NaN), "null"],
  ["an error", new TypeError("bad"), '"TypeError: bad"'],
  ["an error inside", { e: [new Error("bad")] }, '{"e":["Error: bad"]}'],
  ["a map", new Map([["a", 1]]), '[["a",1]]'],
  ["a set", new Set([1]), "[1]"],
  ["bytes", new Uint8Array(3), '"[Uint8Array of 3 bytes]"'],
  ["bytes inside", { ids: new Uint32Array(2) }, '{"ids":"[Uint32Array of 8 bytes]"}'],
  [
    "bytes that would spell themselves out",
    Object.assign(new Uint8Array(1), { toJSON: () => [7] }),
    '"[Uint8Array of 1 bytes]"',
  ],
  ["a circle", circle(), '{"name":"x","self":{"again":"[circular]"}}'],
  ["the same object twice", [twice, twice], '[{"n":1},{"n":1}]'],
  ["something deep", nested(20), '[[[[[[[["[nested too deep]"]]]]]]]]'],
  ["a long list", Array.from({ length: 103 }, () => 0), `[${"0,".repeat(100)}"[3 more]"]`],
  ["a failing getter", {
    get a(): never {
      return fails();
    },
  }, '"[unprintable]"'],
  ["a failing toJSON()", { toJSON: fails }, '"[unprintable]"'],
  ["a failing proxy", new Proxy({}, { get: fails, ownKeys: fails, getPrototypeOf: fails }), '"[unprintable]"'],
  [
    "an error without a readable message",
    Object.defineProperty(new Error(), "message", { get: fails }),
    '"[unprintable]"',
  ],
];

for (const [name, value, expected] of JSON_ROWS) {
  test(`jsonValue() shows ${name}`, () => {
    assert.equal(jsonValue(value), expected);
    if (expected !== undefined) JSON.parse(expected);
  });
}

test("readableValue() shows simple texts without quotes", () => {
  for (const text of ["tcp", "127.0.0.1:80", "a/b", "a-b_c+d@e"]) assert.equal(readableValue(text), text);
  for (const text of ["", "a b", 'a"b', "a=b", "a,b", "ä"]) assert.equal(readableValue(text), JSON.stringify(text));
  assert.equal(readableValue(1n), "1");
  assert.equal(readableValue(undefined), undefined);
});

test("texts of more than 16 KiB are cut, and say so", () => {
  const long = "x".repeat(16 * KIB + 5);
  assert.equal(plainText(long), `${"x".repeat(16 * KIB)}… [5 more characters]`);
  assert.equal(plainText("x".repeat(16 * KIB)), "x".repeat(16 * KIB));
  assert.equal(readableValue(long), `${"x".repeat(16 * KIB)}… [5 more characters]`);
  assert.equal(jsonValue(long), JSON.stringify(`${"x".repeat(16 * KIB)}… [5 more characters]`));
  assert.equal(jsonValue(new Error(long)), JSON.stringify(`Error: ${"x".repeat(16 * KIB - 7)}… [12 more characters]`));
  // No half character: each takes four bytes and two units.
  assert.equal(plainText("😀".repeat(5 * KIB)), `${"😀".repeat(4 * KIB)}… [${2 * KIB} more characters]`);
});

test("a list or an object of more than 16 KiB becomes a text that is cut", () => {
  const value = { parts: Array.from({ length: 50 }, () => "y".repeat(KIB)) };
  const text = JSON.parse(jsonValue(value)!) as string;
  assert.equal(typeof text, "string");
  assert.ok(text.startsWith('{"parts":["yyy'));
  assert.match(text, /… \[\d+ more characters\]$/);
  assert.equal(text.indexOf("…"), 16 * KIB);
});

test("describeError() follows causes, and says nothing twice", () => {
  const root = new Error("connection refused");
  const middle = new TypeError("cannot dial", { cause: root });
  assert.equal(
    describeError(new Error("cannot register", { cause: middle })),
    "Error: cannot register; caused by TypeError: cannot dial; caused by Error: connection refused",
  );
  assert.equal(
    describeError(new Error("failed: cannot dial", { cause: middle })),
    "Error: failed: cannot dial; caused by Error: connection refused",
  );
  assert.equal(describeError(new Error("x", { cause: 7 })), "Error: x; caused by 7");
  assert.equal(describeError(new Error("x", { cause: { secret: "prompt" } })), "Error: x; caused by an object");
  assert.equal(
    describeError(new AggregateError([new Error("a"), new Error("b")], "all failed")),
    "AggregateError: all failed [Error: a; Error: b]",
  );
});

test("describeError() ends when causes are a circle", () => {
  const first = new Error("first");
  const second = new Error("second", { cause: first });
  first.cause = second;
  assert.equal(describeError(first), "Error: first; caused by Error: second");
});

test("describeError() tells nothing of what a parser read", () => {
  let cause: unknown;
  try {
    JSON.parse('my secret prompt"');
  } catch (error) {
    cause = error;
  }
  const text = describeError(new SyntaxError("control header is not JSON", { cause }));
  assert.equal(text, "SyntaxError: control header is not JSON; caused by SyntaxError");
});
