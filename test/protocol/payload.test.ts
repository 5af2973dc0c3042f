import assert from "node:assert/strict";
import { test } from "node:test";
import {
  decodeMsgpack,
  decodeText,
  encodeMsgpack,
  encodeText,
  parseJson,
  stringifyJson,
} from "../../src/protocol/payload.ts";

test("parseJson() keeps every digit of integers beyond 2^53, as bigint", () => {
  const text = '{"id":11357423108441296493,"negative":-9007199254740993,"small":7,"safe":9007199254740991}';
  assert.deepEqual(parseJson(text), {
    id: 11357423108441296493n,
    negative: -9007199254740993n,
    small: 7,
    safe: 9007199254740991,
  });
});

test("parseJson() leaves long fractions, exponents and digits in texts alone", () => {
  assert.deepEqual(parseJson('[0.1234567890123456789, 1e300, "12345678901234567890"]'), [
    0.1234567890123456789,
    1e300,
    "12345678901234567890",
  ]);
});

test("parseJson() refuses what is not JSON", () => {
  for (const text of ["", "{", "[1,]", '{"a":12345678901234567890,}']) {
    assert.throws(() => parseJson(text), SyntaxError, text);
  }
});

test("stringifyJson() is the inverse of parseJson(), compact", () => {
  const text = '{"id":18446744073709551615,"list":[1,-9223372036854775808],"none":null}';
  assert.equal(stringifyJson(parseJson(text)), text);
});

test("stringifyJson() writes typed arrays as arrays and leaves undefined members out", () => {
  assert.equal(stringifyJson({ ids: Uint32Array.of(1, 2), gone: undefined }), '{"ids":[1,2]}');
});

test("MessagePack keeps 64-bit integers in both directions", () => {
  const value = { id: 18446744073709551615n, seed: -9223372036854775808n };
  assert.deepEqual(decodeMsgpack(encodeMsgpack(value)), value);
});

test("encodeMsgpack() writes integers as integers of the least width, and leaves undefined members out", () => {
  assert.deepEqual(
    [...encodeMsgpack([0, 127, 128, 65_535, 65_536, 4_294_967_295])].map((byte) => byte.toString(16)).join(" "),
    [
      "96 0 7f cc 80 cd ff ff ce 0 1 0 0 ce ff ff ff ff",
    ].join(),
  );
  assert.deepEqual([...encodeMsgpack({ a: undefined })], [0x80]);
});

test("decodeMsgpack() reads integers and floats of any width", () => {
  const f32 = [0xca, 0x3f, 0x33, 0x33, 0x33];
  const f64 = [0xcb, 0x3f, 0xe6, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66];
  assert.deepEqual(decodeMsgpack(Uint8Array.of(0x94, 0xcd, 0, 5, 0xd2, 255, 255, 255, 255, ...f32, ...f64)), [
    5,
    -1,
    Math.fround(0.7),
    0.7,
  ]);
});

test("decodeMsgpack() refuses bytes that are missing or left over", () => {
  assert.throws(() => decodeMsgpack(Uint8Array.of(0x92, 1)));
  assert.throws(() => decodeMsgpack(Uint8Array.of(1, 1)));
  assert.throws(() => decodeMsgpack(new Uint8Array(0)));
});

test("decodeMsgpack() works again after bytes it refused", () => {
  assert.throws(() => decodeMsgpack(Uint8Array.of(0x93, 1)));
  assert.deepEqual(decodeMsgpack(encodeMsgpack({ token_ids: [1] })), { token_ids: [1] });
});

test("decodeText() is strict about UTF-8", () => {
  assert.equal(decodeText(encodeText("añ→😀")), "añ→😀");
  assert.throws(() => decodeText(Uint8Array.of(0xff)), TypeError);
});
