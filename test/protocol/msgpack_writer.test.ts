import assert from "node:assert/strict";
import { test } from "node:test";
import { MsgpackWriter, packedText } from "../../src/protocol/msgpack_writer.ts";
import { decodeMsgpack, encodeMsgpack } from "../../src/protocol/payload.ts";
import { toHex } from "../wire/transcript.ts";

function written(write: (writer: MsgpackWriter) => void): string {
  const writer = new MsgpackWriter();
  write(writer);
  return toHex(writer.toBytes());
}

const general = (value: unknown) => toHex(encodeMsgpack(value));
const SIZES = [0, 1, 15, 16, 31, 32, 255, 256, 0xffff, 0x1_0000];

test("lengths of texts, bytes, arrays and maps are as the general encoder writes them", () => {
  for (const size of SIZES) {
    const bytes = new Uint8Array(size).fill(7);
    assert.equal(written((writer) => writer.text("x".repeat(size))), general("x".repeat(size)));
    assert.equal(written((writer) => writer.bin(bytes)), general(bytes));
    assert.equal(
      written((writer) => {
        writer.array(size);
        for (const byte of bytes) writer.uint(byte);
      }),
      general([...bytes]),
    );
    const entries = Array.from(bytes, (byte, i) => [`${i}`, byte] as const);
    assert.equal(
      written((writer) => {
        writer.map(size);
        for (const [key, value] of entries) {
          writer.text(key);
          writer.uint(value);
        }
      }),
      general(Object.fromEntries(entries)),
    );
  }
});

test("integers take the shortest form, whichever type they come in", () => {
  for (const value of [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000, 0xffff_ffff]) {
    assert.equal(written((writer) => writer.uint(value)), general(value));
    assert.equal(written((writer) => writer.u64(BigInt(value))), general(value));
  }
  for (const value of [2n ** 32n, 2n ** 53n - 1n]) {
    assert.equal(written((writer) => writer.uint(Number(value))), general(value));
    assert.equal(written((writer) => writer.u64(value)), general(value));
  }
  assert.equal(written((writer) => writer.u64(2n ** 64n - 1n)), "cfffffffffffffffff");
  assert.equal(written((writer) => writer.u64(-5n)), "cffffffffffffffffb");
});

test("floats stay floats, and the small values have their own bytes", () => {
  assert.equal(written((writer) => writer.float(0)), "cb0000000000000000");
  assert.equal(written((writer) => writer.nil()), "c0");
  assert.equal(written((writer) => writer.bool(true)) + written((writer) => writer.bool(false)), "c3c2");
  assert.equal(decodeMsgpack(packedText("é")), "é");
});

test("uint() refuses what is no unsigned integer", () => {
  for (const value of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
    assert.throws(() => written((writer) => writer.uint(value)), RangeError);
  }
});

test("clear() starts anew, and what was taken stays", () => {
  const writer = new MsgpackWriter();
  writer.text("first");
  const first = writer.toBytes();
  writer.clear();
  writer.text("other");
  assert.deepEqual([decodeMsgpack(first), decodeMsgpack(writer.toBytes()), writer.length], ["first", "other", 6]);
});
