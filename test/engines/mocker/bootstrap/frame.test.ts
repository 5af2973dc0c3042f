import assert from "node:assert/strict";
import { test } from "node:test";
import {
  encodeFrame,
  type Frame,
  FrameReader,
  MAX_FRAME_BYTES,
  normalizedUuid,
  refusal,
  SESSION_HEADER,
} from "../../../../engines/mocker/bootstrap/frame.ts";
import { parseMessage } from "../../../../engines/mocker/bootstrap/message.ts";
import { CAPTURED_FRAMES, CAPTURED_HEADER, CAPTURED_IDENTITY, withHeader } from "../../../support/bootstrap_session.ts";

/** A frame with any body. */
function raw(body: string, length = new TextEncoder().encode(body).length): Uint8Array {
  const bytes = new TextEncoder().encode(`    ${body}`);
  new DataView(bytes.buffer).setUint32(0, length, true);
  return bytes;
}

const ids = (room: string) =>
  `{"handoff_id":"${CAPTURED_IDENTITY.handoff_id}","bootstrap_room":${room},"request_id":"${CAPTURED_IDENTITY.request_id}"}`;
const body = (message: string, identity = ids("7")) => `{"identity":${identity},"message":${message}}`;

test("a captured session is written byte for byte, and read again", () => {
  assert.equal(Array.from(SESSION_HEADER, (byte) => byte.toString(16).padStart(2, "0")).join(""), CAPTURED_HEADER);
  assert.equal(CAPTURED_FRAMES.length, 9);
  for (const { bytes, message } of CAPTURED_FRAMES) {
    assert.deepEqual(encodeFrame(CAPTURED_IDENTITY, message), bytes);
    assert.deepEqual(new FrameReader(false).push(bytes), [{ identity: CAPTURED_IDENTITY, message }]);
  }
});

test("frames come out however the bytes are cut", () => {
  const whole = withHeader(...CAPTURED_FRAMES.map(({ bytes }) => bytes));
  for (const size of [1, 7, 300, whole.length]) {
    const reader = new FrameReader(true);
    const frames: Frame[] = [];
    for (let at = 0; at < whole.length; at += size) frames.push(...reader.push(whole.subarray(at, at + size)));
    assert.deepEqual(frames.map(({ message }) => message), CAPTURED_FRAMES.map(({ message }) => message));
  }
});

test("a room is 64 bits wide, also the widest, and text that looks like one is left alone", () => {
  const [frame] = new FrameReader(false).push(
    raw(body('{"Abort":{"message":"\\"bootstrap_room\\":5"}}', ids("18446744073709551615"))),
  );
  assert.equal(frame?.identity.bootstrap_room, 2n ** 64n - 1n);
  assert.deepEqual(frame?.message, { Abort: { message: '"bootstrap_room":5' } });
});

const GARBAGE: readonly (readonly [what: string, bytes: Uint8Array, isFirst?: boolean])[] = [
  ["another protocol", new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"), true],
  ["another version", Uint8Array.of(0x44, 0x4d, 0x48, 0x46, 2, 0, 0, 0), true],
  ["flags", Uint8Array.of(0x44, 0x4d, 0x48, 0x46, 1, 0, 1, 0), true],
  ["an empty frame", Uint8Array.of(0, 0, 0, 0)],
  ["a frame that is too long", raw("", MAX_FRAME_BYTES + 1)],
  ["a frame that is not JSON", raw("{")],
  ["a frame that is not UTF-8", Uint8Array.of(1, 0, 0, 0, 0xff)],
  ["null", raw("null")],
  ["a room that is too wide", raw(body('"Registered"', ids("18446744073709551616")))],
  ["a room below 0", raw(body('"Registered"', ids("-1")))],
  ["a frame without identity", raw('{"message":"Registered"}')],
  ["an id that is no UUID", raw(body('"Registered"').replace("af1d385b", "zzzzzzzz"))],
  ["an unknown word", raw(body('"Hello"'))],
  ["an unknown message", raw(body('{"Hello":{}}'))],
  ["two messages", raw(body('{"Abort":{"message":""},"Hello":{}}'))],
  ["a fact that is not for others", raw(body('{"Fact":{"TimedOut":{"handoff_id":"x"}}}'))],
  ["a role that does not exist", raw(body('{"Register":{"role":"Source","dp_rank":0,"order":"SourceFirst"}}'))],
  ["a fraction of an action", raw(body('{"ActionAck":{"action_id":0.5,"outcome":"Applied"}}'))],
  ["an unknown outcome", raw(body('{"ActionAck":{"action_id":1,"outcome":"Done"}}'))],
];

for (const [what, bytes, isFirst = false] of GARBAGE) {
  test(`${what} is refused as soon as it is there`, () => {
    assert.throws(() => new FrameReader(isFirst).push(bytes), SyntaxError);
  });
}

test("members that nobody knows are left alone", () => {
  const timing =
    '{"mode":"full_prompt","full_prompt_tokens":4,"kv_bytes_per_token":null,"bandwidth_gb_s":null,"new":1}';
  const [frame] = new FrameReader(false).push(
    raw(body(`{"Fact":{"SourceHeld":{"handoff_id":"h","transfer_timing":${timing}}}}`)),
  );
  const transfer_timing = {
    mode: "full_prompt",
    full_prompt_tokens: 4,
    kv_bytes_per_token: null,
    bandwidth_gb_s: null,
  };
  assert.deepEqual(frame?.message, { Fact: { SourceHeld: { handoff_id: "h", transfer_timing } } });
  assert.throws(() => parseMessage({ Fact: { SourceHeld: { handoff_id: "h", transfer_timing: 1 } } }), SyntaxError);
});

test("a refusal always fits into a frame", () => {
  const why = '\u{1f600}"'.repeat(40_000);
  const bytes = encodeFrame(CAPTURED_IDENTITY, refusal("Abort", why));
  assert.ok(bytes.length < MAX_FRAME_BYTES);
  assert.equal(new FrameReader(false).push(bytes).length, 1);
});

test("UUIDs are written in one way", () => {
  const uuid = "af1d385b-898e-4f36-baf1-e566fc1e0863";
  assert.deepEqual([uuid, uuid.toUpperCase(), uuid.replaceAll("-", "")].map(normalizedUuid), [uuid, uuid, uuid]);
  assert.deepEqual(["", "request-1", `${uuid}0`].map(normalizedUuid), [undefined, undefined, undefined]);
});
