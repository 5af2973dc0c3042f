import assert from "node:assert/strict";
import { test } from "node:test";
import { jsonFault } from "../../src/observe/json_fault.ts";

/** Bodies and what a 1.6.1 worker answered to `POST /engine/nope` with them. */
const CAPTURED: readonly (readonly [body: string | readonly number[], fault: string])[] = [
  ["zzz", "expected value at line 1 column 1"],
  [" ", "EOF while parsing a value at line 1 column 1"],
  ["{", "EOF while parsing an object at line 1 column 1"],
  ['{"a"', "EOF while parsing an object at line 1 column 4"],
  ['{"a":', "EOF while parsing a value at line 1 column 5"],
  ['{"a":1', "EOF while parsing an object at line 1 column 6"],
  ['{"a":1,', "EOF while parsing a value at line 1 column 7"],
  ['{"a":1,}', "trailing comma at line 1 column 8"],
  ["{a:1}", "key must be a string at line 1 column 2"],
  ["{1:2}", "key must be a string at line 1 column 2"],
  ["{,}", "key must be a string at line 1 column 2"],
  ["[1", "EOF while parsing a list at line 1 column 2"],
  ["[1,", "EOF while parsing a value at line 1 column 3"],
  ["[1,]", "trailing comma at line 1 column 4"],
  ["[1,\n]", "trailing comma at line 2 column 1"],
  ["[1 2]", "expected `,` or `]` at line 1 column 4"],
  ["[1}", "expected `,` or `]` at line 1 column 3"],
  ["[,]", "expected value at line 1 column 2"],
  ['{"a" 1}', "expected `:` at line 1 column 6"],
  ['{"a":1 "b"}', "expected `,` or `}` at line 1 column 8"],
  ['{"a":1]', "expected `,` or `}` at line 1 column 7"],
  ["1 2", "trailing characters at line 1 column 3"],
  ["{} x", "trailing characters at line 1 column 4"],
  ['"é" x', "trailing characters at line 1 column 6"],
  ['"abc', "EOF while parsing a string at line 1 column 4"],
  ['"a\\q"', "invalid escape at line 1 column 4"],
  ['"a\\u12"', "EOF while parsing a string at line 1 column 7"],
  ['"\\u12', "EOF while parsing a string at line 1 column 5"],
  ['"a\nb"', "control character (\\u0000-\\u001F) found while parsing a string at line 2 column 0"],
  ['"a\x01b"', "control character (\\u0000-\\u001F) found while parsing a string at line 1 column 3"],
  [[0x22, 0xff, 0x22], "invalid unicode code point at line 1 column 3"],
  ["tru", "EOF while parsing a value at line 1 column 3"],
  ["truf", "expected ident at line 1 column 4"],
  ["nul", "EOF while parsing a value at line 1 column 3"],
  ["01", "invalid number at line 1 column 2"],
  ["1.", "EOF while parsing a value at line 1 column 2"],
  ["-", "EOF while parsing a value at line 1 column 1"],
  ["1e", "EOF while parsing a value at line 1 column 2"],
  [".5", "expected value at line 1 column 1"],
  ["+1", "expected value at line 1 column 1"],
  ["'a'", "expected value at line 1 column 1"],
  ["}", "expected value at line 1 column 1"],
  ["NaN", "expected value at line 1 column 1"],
  ['{\n "a":\n  zz}', "expected value at line 3 column 3"],
  ['{"é":é}', "expected value at line 1 column 7"],
  ["{\n", "EOF while parsing an object at line 2 column 0"],
  ["[\n\n", "EOF while parsing a list at line 3 column 0"],
];

const bytesOf = (body: string | readonly number[]): Uint8Array =>
  typeof body === "string" ? new TextEncoder().encode(body) : Uint8Array.from(body);

for (const [body, fault] of CAPTURED) {
  test(`jsonFault() of ${JSON.stringify(body)} is what Dynamo says`, () =>
    assert.equal(jsonFault(bytesOf(body)), fault));
}

/** Not captured; what JSON.parse refuses too. */
const REFUSED: readonly (readonly [body: string, fault: string])[] = [
  ['{"a":1,x}', "key must be a string at line 1 column 8"],
  ['{"a":{"b":[1,{"c":"d"},[]]},"e":x}', "expected value at line 1 column 33"],
  ["-x", "invalid number at line 1 column 2"],
  ["1.5e+x", "invalid number at line 1 column 6"],
  ["[-0.5E-3,1e5,0,true,false,null,]", "trailing comma at line 1 column 32"],
  ['"a\\ug123"', "invalid escape at line 1 column 8"],
  ["\r\t1\n\n?", "trailing characters at line 3 column 1"],
];

for (const [body, fault] of REFUSED) {
  test(`jsonFault() finds ${fault} in ${JSON.stringify(body)}`, () => {
    assert.throws(() => JSON.parse(body));
    assert.equal(jsonFault(bytesOf(body)), fault);
  });
}

test("jsonFault() finds nothing in what is JSON", () => {
  for (const body of ['{"a":[{},[],"\\"\\u00e9\\n",-1.5e+3,0,true,false,null]}', "1", '""', " [ ] ", "1E5"]) {
    JSON.parse(body);
    assert.equal(jsonFault(bytesOf(body)), "invalid JSON", body);
  }
});

test("jsonFault() minds no depth", () => {
  assert.equal(jsonFault(bytesOf("[".repeat(1e6))), "EOF while parsing a list at line 1 column 1000000");
});
