import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encodeItem, type Item } from "../../src/pipeline/encode.ts";
import { encodeHandshake, FINAL, PROLOGUE_OK, SENTINEL } from "../../src/protocol/control.ts";
import { DynamoError } from "../../src/protocol/error.ts";
import { TwoPartParser } from "../../src/protocol/frame.ts";
import { chunk, usage } from "../../src/protocol/output.ts";
import { decodeMsgpack } from "../../src/protocol/payload.ts";
import type { PayloadCodec } from "../../src/protocol/record.ts";
import { SendBuffer } from "../../src/protocol/send_buffer.ts";
import { goldenBytes, toHex, twoPartFrames } from "./transcript.ts";

function encode(item: Item, codec: PayloadCodec = "msgpack"): string {
  const buffer = new SendBuffer();
  encodeItem(buffer, item, codec);
  return toHex(buffer.take());
}

/** Frames a worker sent in a capture. */
function sent(name: string): string[] {
  return twoPartFrames(name).filter(({ plane, direction }) => plane === "rsp" && direction === ">")
    .map(({ bytes }) => toHex(bytes));
}

describe("response frames equal the captured ones", () => {
  it("for a whole streaming chat", () => {
    const frames = sent("chat-stream");
    const subject = "950b821a-735c-4fa9-af68-fbe2c16f0a35";
    assert.deepEqual(frames, [
      toHex(encodeHandshake(subject)),
      toHex(PROLOGUE_OK),
      encode(chunk.tokens([1])),
      encode(chunk.tokens([2])),
      encode(chunk.length(usage(6, 3), [3])),
      toHex(FINAL.msgpack),
      toHex(SENTINEL),
    ]);
  });

  it("for the same chat as raw bytes", () => {
    const captured = goldenBytes("frames/chat-callhome-worker-to-frontend.bin");
    const buffer = new SendBuffer();
    buffer.append(captured.subarray(0, 24 + 75)); // the handshake's subject differs from run to run
    buffer.append(PROLOGUE_OK);
    for (const item of [chunk.tokens([1]), chunk.tokens([2]), chunk.length(usage(6, 3), [3])]) {
      encodeItem(buffer, item, "msgpack");
    }
    buffer.append(FINAL.msgpack);
    buffer.append(SENTINEL);
    assert.equal(toHex(buffer.take()), toHex(captured));
  });

  it("for the JSON codec", () => {
    const frames = sent("chat-stream-json-codec");
    assert.ok(frames.includes(encode(chunk.tokens([1]), "json")));
    assert.ok(frames.includes(toHex(FINAL.json)));
  });

  const errors: readonly (readonly [string, DynamoError])[] = [
    ["error-unknown", new DynamoError("Unknown", "uu")],
    ["error-invalid-argument-mid-stream", new DynamoError("InvalidArgument", "late bad")],
    ["error-python-valueerror", new DynamoError("InvalidArgument", "ValueError: boom", { publicMessage: null })],
  ];
  for (const [name, error] of errors) {
    it(`for ${name}`, () => assert.ok(sent(name).includes(encode(error)), encode(error)));
  }

  it("for every other kind of error, once the text is taken from the capture", () => {
    const kinds = {
      "error-engine-shutdown-mid-stream": "EngineShutdown",
      "error-stream-incomplete": "StreamIncomplete",
      "error-connection-timeout": "ConnectionTimeout",
      "error-cancelled": "Cancelled",
    } as const;
    for (const [name, kind] of Object.entries(kinds)) {
      const messages = sent(name).map((hex) => errorMessage(hex)).filter((text) => text !== null);
      assert.equal(messages.length, 1, name);
      assert.ok(sent(name).includes(encode(new DynamoError(kind, messages[0]!))), name);
    }
  });

  it("for an engine's own finish reasons", () => {
    assert.ok(
      sent("finish-reason-cancelled").some((hex) => hex.includes(toHex(new TextEncoder().encode("cancelled")))),
    );
  });
});

function errorMessage(hex: string): string | null {
  let message: string | null = null;
  new TwoPartParser(1 << 20).push(Uint8Array.from(hex.match(/../g)!, (pair) => parseInt(pair, 16)), ({ body }) => {
    if (body.length === 0) return;
    const item = decodeMsgpack(body) as { data?: { error?: { message: string } } };
    message = item.data?.error?.message ?? null;
  });
  return message;
}

describe("encodeItem() of plain tokens", () => {
  const general = (ids: number[], codec: PayloadCodec) =>
    // An extra member with a value takes the general encoder; `undefined` is left out of the bytes.
    encode({ ...chunk.tokens(ids), text: "" }, codec).replace(
      codec === "msgpack" ? "a474657874a0" : toHex(new TextEncoder().encode('"text":""')),
      codec === "msgpack" ? "a474657874c0" : toHex(new TextEncoder().encode('"text":null')),
    );
  const cases = [[], [0], [127], [128], [255], [256], [65_535], [65_536], [0xffff_ffff], [1, 300, 70_000]];
  cases.push(Array.from({ length: 15 }, (_, i) => i), Array.from({ length: 16 }, (_, i) => i * 1000));
  cases.push(Array.from({ length: 70_000 }, (_, i) => i));
  it("writes the bytes of the general encoder as MessagePack", () => {
    for (const ids of cases) {
      assert.equal(encode(chunk.tokens(ids)), general(ids, "msgpack"), `${ids.length} ids from ${ids[0]}`);
    }
  });
  it("writes the items of the general encoder as JSON", () => {
    // The length of `null` and `""` differ, so only the bodies are compared.
    for (const ids of cases) {
      assert.equal(encode(chunk.tokens(ids), "json").slice(48), general(ids, "json").slice(48));
    }
  });
  it("refuses what is no unsigned 32-bit integer", () => {
    for (const id of [1.5, -1, 2 ** 32, NaN]) {
      assert.throws(() => encode(chunk.tokens([id])), { name: "DynamoError", kind: "InvalidArgument" });
    }
    assert.throws(() => encode({ token_ids: "x" }), { name: "DynamoError" });
  });
  it("leaves nothing behind in the buffer when it refuses", () => {
    const buffer = new SendBuffer();
    assert.throws(() => encodeItem(buffer, chunk.tokens([1.5]), "msgpack"));
    assert.equal(buffer.length, 0);
  });
});
