import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeError, DynamoError, type ErrorKind } from "../../src/protocol/error.ts";

/** As the reference worker sends them (protocol 02 §5.2 and §5.3). */
const KINDS: Readonly<Record<ErrorKind, readonly [class_: string, reason: string]>> = {
  Unknown: ["Internal", "backend.unknown"],
  InvalidArgument: ["InvalidRequest", "backend.invalid_argument"],
  CannotConnect: ["Unavailable", "backend.cannot_connect"],
  ConnectionTimeout: ["DeadlineExceeded", "backend.connection_timeout"],
  Disconnected: ["Unavailable", "backend.disconnected"],
  EngineShutdown: ["Unavailable", "backend.engine_shutdown"],
  StreamIncomplete: ["Unavailable", "backend.stream_incomplete"],
  ResponseTimeout: ["DeadlineExceeded", "backend.response_timeout"],
  Cancelled: ["Cancelled", "backend.cancelled"],
};

for (const [kind, [class_, reason]] of Object.entries(KINDS)) {
  test(`toWire() gives ${kind} its class and reason, in the key order of the reference`, () => {
    const wire = new DynamoError(kind as ErrorKind, "why", { publicMessage: "shown" }).toWire();
    assert.equal(
      JSON.stringify(wire),
      `{"error_type":{"Backend":"${kind}"},"class":"${class_}","reason":"${reason}",` +
        `"message":"why","diagnostic":"why","public":{"type":"message","message":"shown"}}`,
    );
    assert.equal(new DynamoError(kind as ErrorKind, "why").isInvalidRequest, kind === "InvalidArgument");
  });
}

test("only InvalidArgument shows its message to clients, unless told otherwise", () => {
  assert.equal(new DynamoError("InvalidArgument", "bad").publicMessage, "bad");
  assert.equal(new DynamoError("InvalidArgument", "bad", { publicMessage: null }).publicMessage, null);
  assert.equal(new DynamoError("Unknown", "secret").publicMessage, null);
  assert.equal("public" in new DynamoError("Unknown", "secret").toWire(), false);
});

test("toWire() nests causes that are errors of ours, and keeps others to itself", () => {
  const cause = new DynamoError("Disconnected", "peer left");
  assert.deepEqual(new DynamoError("EngineShutdown", "gone", { cause }).toWire().caused_by, cause.toWire());
  assert.equal("caused_by" in new DynamoError("Unknown", "x", { cause: new Error("token=abc") }).toWire(), false);
});

test("toWire() cuts the text at 4096 bytes, never inside a character", () => {
  const short = "x".repeat(4096);
  assert.equal(new DynamoError("Unknown", short).toWire().message, short);
  for (const text of ["x".repeat(4097), "é".repeat(3000), "x" + "😀".repeat(2000)]) {
    const { message, diagnostic } = new DynamoError("Unknown", text).toWire();
    const bytes = new TextEncoder().encode(message).length;
    assert.ok(bytes <= 4096 && bytes > 4090, `${bytes}`);
    assert.ok(message.endsWith("...[truncated]"));
    assert.ok(text.startsWith(message.slice(0, -"...[truncated]".length)));
    assert.equal(diagnostic, message);
  }
});

test("from() keeps a DynamoError and wraps anything else as Unknown with its cause", () => {
  const own = new DynamoError("Cancelled", "x");
  assert.equal(DynamoError.from(own), own);
  for (
    const [thrown, message] of [[new RangeError("far"), "RangeError: far"], ["text", "text"], [undefined, "undefined"]]
  ) {
    const error = DynamoError.from(thrown);
    assert.deepEqual([error.kind, error.message, error.cause], ["Unknown", message, thrown]);
  }
});

test("decodeError() reads canonical and legacy errors, and makes the best of anything else", () => {
  const wire = new DynamoError("InvalidArgument", "bad").toWire();
  const read = { class: "InvalidRequest", reason: "backend.invalid_argument", message: "bad", publicMessage: "bad" };
  assert.deepEqual(decodeError(wire), read);
  assert.deepEqual(decodeError({ error_type: "InvalidArgument", message: "x" }), {
    class: "InvalidRequest",
    reason: "backend.invalid_argument",
    message: "x",
    publicMessage: null,
  });
  for (const value of [null, 7, "text", {}]) {
    assert.equal(decodeError(value).class, "Internal");
  }
});
