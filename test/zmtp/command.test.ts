import assert from "node:assert/strict";
import { test } from "node:test";
import { type Command, decodeCommand, encodeCommand } from "../../src/zmtp/command.ts";
import { FrameDecoder } from "../../src/zmtp/frame.ts";
import { bytes, hex, unhex } from "../support/zmtp_peer.ts";

function roundTrip(command: Command): Command {
  let decoded: Command | undefined;
  new FrameDecoder(1 << 20).push(encodeCommand(command), (body, isCommand, hasMore) => {
    assert.ok(isCommand && !hasMore);
    decoded = decodeCommand(body);
  });
  return decoded!;
}

const COMMANDS: readonly Command[] = [
  { name: "READY", metadata: new Map([["socket-type", bytes("SUB")], ["identity", bytes("")]]) },
  { name: "READY", metadata: new Map([["x-big", new Uint8Array(70_000)]]) },
  { name: "READY", metadata: new Map() },
  { name: "ERROR", reason: "no" },
  { name: "ERROR", reason: "" },
  { name: "SUBSCRIBE", topic: bytes("kv-events") },
  { name: "CANCEL", topic: bytes("") },
  { name: "PING", ttlMs: 6_553_500, context: bytes("0123456789abcdef") },
  { name: "PONG", context: bytes("") },
  { name: "unknown", command: "JOIN", data: bytes("group") },
];

for (const command of COMMANDS) {
  test(`${command.name} ${JSON.stringify(Object.values(command)[1])?.slice(0, 20)} is what it was after its way`, () => {
    assert.deepEqual(roundTrip(command), command);
  });
}

test("property names know no case", () => {
  const body = unhex("05524541445901410000000142");
  const command = decodeCommand(body);
  assert.ok(command.name === "READY");
  assert.deepEqual([...command.metadata.keys()], ["a"]);
});

test("a TTL is counted in tenths of a second, and never too early", () => {
  assert.match(hex(encodeCommand({ name: "PING", ttlMs: 101, context: bytes("") })), /0002$/);
  assert.match(hex(encodeCommand({ name: "PING", ttlMs: 1e9, context: bytes("") })), /ffff$/);
});

const READY = "055245414459";
const MALFORMED: readonly [what: string, body: string][] = [
  ["nothing", ""],
  ["an empty name", "00"],
  ["a name longer than the body", "0541"],
  ["READY with half a property name", READY + "0541"],
  ["READY with an empty property name", READY + "0000000000"],
  ["READY with half a length", READY + "0141000000"],
  ["READY with a value of 4 GiB", READY + "0141ffffffff"],
  ["READY with a byte behind", READY + "014100000000" + "01"],
  ["ERROR without a reason", "054552524f52"],
  ["ERROR with half a reason", "054552524f520541"],
  ["PING without a TTL", "0450494e4700"],
  ["PING with a context of 17 bytes", "0450494e470000" + "00".repeat(17)],
  ["PONG with a context of 17 bytes", "04504f4e47" + "00".repeat(17)],
];

for (const [what, body] of MALFORMED) {
  test(`${what} is refused`, () => {
    assert.throws(() => decodeCommand(unhex(body)), { name: "ZmtpError", kind: "protocol" });
  });
}

test("fields that are too long are refused when encoding", () => {
  assert.throws(() => encodeCommand({ name: "ERROR", reason: "x".repeat(256) }), RangeError);
  assert.throws(() => encodeCommand({ name: "PONG", context: new Uint8Array(17) }), RangeError);
  assert.throws(() => encodeCommand({ name: "unknown", command: "x".repeat(256), data: bytes("") }), RangeError);
});
