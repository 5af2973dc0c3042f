/** Errors beside the frames of a real worker, and beside what readers before Dynamo 1.6 understand. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { encodePrologueError } from "../../src/protocol/control.ts";
import { DynamoError, type ErrorKind, type WireError } from "../../src/protocol/error.ts";
import { decodeTwoPart } from "../../src/protocol/frame.ts";
import { decodeMsgpack, decodeText, encodeMsgpack, encodeText, parseJson } from "../../src/protocol/payload.ts";
import { decodeError, encodeError } from "../../src/protocol/received_error.ts";
import { toHex, twoPartFrames } from "./transcript.ts";

interface Found {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly isJson: boolean;
  readonly wire: WireError;
}

/** Every error frame of every transcript. */
function errorFrames(): Found[] {
  const names = readdirSync(new URL("../golden/request-plane/streams/", import.meta.url)).sort();
  return names.map((name) => name.replace(".txt", "")).flatMap((name) =>
    twoPartFrames(name).flatMap(({ plane, direction, bytes }) => {
      const body = decodeTwoPart(bytes)!.body;
      if (plane !== "rsp" || direction !== ">" || body.length === 0) return [];
      const isJson = body[0] === 0x7b;
      const item = (isJson ? parseJson(decodeText(body)) : decodeMsgpack(body)) as { data?: { error?: WireError } };
      return item.data?.error === undefined ? [] : [{ name, bytes: body, isJson, wire: item.data.error }];
    })
  );
}

const FRAMES = errorFrames();

test("the transcripts hold error frames of both codecs", () => {
  assert.equal(FRAMES.length, 9);
  assert.equal(FRAMES.filter((frame) => frame.isJson).length, 1);
});

for (const { name, bytes, isJson, wire } of FRAMES) {
  const frame = (error: WireError) => {
    const item = { data: { event: "error", error }, complete_final: false };
    return toHex(isJson ? encodeText(JSON.stringify(item)) : encodeMsgpack(item));
  };
  test(`the error of ${name} is read and written again byte by byte`, () => {
    assert.equal(frame(encodeError(decodeError(wire))), toHex(bytes));
  });
  test(`the error of ${name} is the one an engine of ours would throw`, () => {
    const { Backend } = wire.error_type as { readonly Backend: ErrorKind };
    const publicMessage = decodeError(wire).publicMessage;
    assert.equal(frame(new DynamoError(Backend, wire.message, { publicMessage }).toWire()), toHex(bytes));
  });
}

/** Names a reader of Dynamo 1.4 and 1.5 knows; it refuses frames with any other. */
const BEFORE_1_6 = [
  ...["Unknown", "InvalidArgument", "CannotConnect", "Disconnected", "ConnectionTimeout", "ResponseTimeout"],
  ...["Cancelled", "ResourceExhausted", "WorkerOverloaded", "Unavailable", "WorkerUnavailable"],
];

/** Reads what such a reader reads: two members and the cause, strictly. */
function legacyRead(wire: WireError): string[] {
  const { error_type: type, message, caused_by } = wire;
  assert.equal(typeof message, "string");
  if (typeof type === "string") assert.ok(BEFORE_1_6.includes(type), type);
  else assert.deepEqual(Object.keys(type), ["Backend"]);
  return [typeof type === "string" ? type : type.Backend, ...(caused_by === undefined ? [] : legacyRead(caused_by))];
}

test("readers before Dynamo 1.6 understand what we write, causes included", () => {
  const cause = new DynamoError("Disconnected", "y");
  assert.deepEqual(legacyRead(new DynamoError("InvalidArgument", "x", { cause }).toWire()), [
    "InvalidArgument",
    "Disconnected",
  ]);
  for (
    const name of ["Conflict", "PayloadTooLarge", "RateLimited", "DeadlineExceeded", "WorkerOverloaded", "NotFound"]
  ) {
    legacyRead(encodeError({ ...decodeError({ class: name, message: "x" }), declared: undefined! }));
  }
});

test("a prologue carries the same object as an item", () => {
  const error = new DynamoError("InvalidArgument", "too hot");
  const { header } = decodeTwoPart(encodePrologueError(error))!;
  assert.deepEqual(JSON.parse(decodeText(header)), { error: "too hot", typed_error: error.toWire() });
});
