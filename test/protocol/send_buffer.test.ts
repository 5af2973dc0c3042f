import assert from "node:assert/strict";
import { test } from "node:test";
import { SendBuffer } from "../../src/protocol/send_buffer.ts";

test("take() gives what was appended, in order, and leaves nothing", () => {
  const buffer = new SendBuffer();
  buffer.append(Uint8Array.of(1, 2));
  buffer.append(Uint8Array.of(3));
  assert.equal(buffer.length, 3);
  assert.deepEqual([...buffer.take()], [1, 2, 3]);
  assert.equal(buffer.length, 0);
  assert.equal(buffer.take().length, 0);
});

test("reserve() gives the place to write at", () => {
  const buffer = new SendBuffer();
  buffer.append(Uint8Array.of(9));
  const at = buffer.reserve(2);
  buffer.bytes.set([7, 8], at);
  assert.deepEqual([...buffer.take()], [9, 7, 8]);
});

test("what was taken is never written again, whatever follows", () => {
  const buffer = new SendBuffer();
  const taken: { bytes: Uint8Array; value: number }[] = [];
  for (let value = 0; value < 250; value++) {
    buffer.append(new Uint8Array(1 + 37 * value % 500).fill(value));
    if (value % 3 === 0) buffer.append(new Uint8Array(5000).fill(value));
    taken.push({ bytes: buffer.take(), value });
  }
  for (const { bytes, value } of taken) assert.ok(bytes.every((byte) => byte === value), `${value}`);
});

test("frames larger than a region fit, next to those that wait", () => {
  const buffer = new SendBuffer();
  buffer.append(new Uint8Array(4000).fill(1));
  buffer.append(new Uint8Array(100_000).fill(2));
  buffer.append(new Uint8Array(10).fill(3));
  const bytes = buffer.take();
  assert.equal(bytes.length, 104_010);
  assert.deepEqual([bytes[3999], bytes[4000], bytes[103_999], bytes[104_000]], [1, 2, 2, 3]);
});
