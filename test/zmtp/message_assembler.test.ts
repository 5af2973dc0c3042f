import assert from "node:assert/strict";
import { test } from "node:test";
import { MessageAssembler } from "../../src/zmtp/message_assembler.ts";
import { bytes, text } from "../support/zmtp_peer.ts";

test("parts become messages, and outlive their bytes when told to keep them", () => {
  const assembler = new MessageAssembler({ maxMessageBytes: 100, maxParts: 3 });
  const buffer = bytes("abcd");
  assert.equal(assembler.add(buffer.subarray(0, 1), true), null);
  assembler.keep();
  assert.equal(assembler.add(buffer.subarray(1, 2), true), null);
  assembler.keep();
  buffer.fill(0);
  assert.deepEqual(assembler.add(bytes("c"), false)?.map(text), ["a", "b", "c"]);
  assert.deepEqual(assembler.add(bytes("next"), false)?.map(text), ["next"]);
});

test("a message that is too long or has too many parts is refused", () => {
  const limits = { maxMessageBytes: 10, maxParts: 3 };
  const long = new MessageAssembler(limits);
  long.add(bytes("12345"), true);
  assert.throws(() => long.add(bytes("678901"), true), /above 10 bytes/);
  const many = new MessageAssembler(limits);
  for (let i = 0; i < 3; i++) many.add(bytes(""), true);
  assert.throws(() => many.add(bytes(""), true), /more than 3 parts/);
});
