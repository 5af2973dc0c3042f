import assert from "node:assert/strict";
import { test } from "node:test";
import {
  DynamoError,
  type ErrorKind,
  invalidArgument,
  type PublicDetails,
  type WireError,
} from "../../src/protocol/error.ts";
import { decodeMsgpack, encodeMsgpack, stringifyJson } from "../../src/protocol/payload.ts";

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

test("toWire() finds typed causes behind untyped ones, and ends where a chain comes round", () => {
  const inner = new DynamoError("Disconnected", "peer left");
  const outer = new DynamoError("Unknown", "x", { cause: new Error("token=abc", { cause: inner }) });
  assert.deepEqual(outer.toWire().caused_by, inner.toWire());
  (inner as { cause?: unknown }).cause = outer;
  const { caused_by, ...alone } = outer.toWire();
  assert.deepEqual(caused_by, new DynamoError("Disconnected", "peer left").toWire());
  assert.equal("caused_by" in caused_by!, false);
  assert.deepEqual(alone, new DynamoError("Unknown", "x").toWire());
});

test("toWire() bounds a chain of any length", () => {
  let error = new DynamoError("Unknown", "0");
  for (let i = 1; i < 100_000; i++) error = new DynamoError("Unknown", String(i), { cause: error });
  const messages: string[] = [];
  for (let link: WireError | undefined = error.toWire(); link !== undefined; link = link.caused_by) {
    messages.push(link.message);
  }
  assert.deepEqual(messages, Array.from({ length: 16 }, (_, i) => String(99_999 - i)));
});

test("toWire() writes limits as the reference has them: unknown numbers are null, long ones keep all digits", () => {
  const wire = (publicDetails: PublicDetails) =>
    stringifyJson(new DynamoError("InvalidArgument", "m", { publicDetails }).toWire().public);
  assert.equal(wire({ type: "size_limit", limit: 10 }), '{"type":"size_limit","limit":10,"actual":null}');
  assert.equal(
    wire({ type: "context_length", limit: 4096, actual: 5000n }),
    '{"type":"context_length","limit":4096,"actual":5000}',
  );
  assert.equal(
    wire({ type: "size_limit", limit: 2n ** 63n, actual: 2 ** 40 }),
    `{"type":"size_limit","limit":${2n ** 63n},"actual":${2 ** 40}}`,
  );
  assert.equal(wire({ type: "rate_limit", remaining: 0 }), '{"type":"rate_limit","limit":null,"remaining":0}');
  assert.equal(
    wire({ type: "rate_limit", limit: -1, remaining: NaN }),
    '{"type":"rate_limit","limit":null,"remaining":null}',
  );
  // As MessagePack, a float64 would make readers refuse the whole frame.
  const bytes = encodeMsgpack(
    new DynamoError("Unknown", "m", { publicDetails: { type: "size_limit", limit: 2 ** 40 } }).toWire(),
  );
  assert.deepEqual((decodeMsgpack(bytes) as WireError).public, { type: "size_limit", limit: 2n ** 40n, actual: null });
});

test("a text with half a surrogate pair is written whole, so that readers take the frame", () => {
  const { message, public: shown } = invalidArgument("a\uD83Db").toWire();
  assert.equal(message, "a\uFFFDb");
  assert.deepEqual(shown, { type: "message", message: "a\uFFFDb" });
});

test("invalidArgument() is an error that shows its text to clients", () => {
  const cause = new DynamoError("Disconnected", "x");
  const error = invalidArgument("max_tokens must be at least 1", { cause });
  assert.deepEqual([error.kind, error.publicMessage, error.cause], ["InvalidArgument", error.message, cause]);
  assert.equal(invalidArgument("secret", { publicMessage: null }).publicDetails, null);
});

test("an unknown kind is refused with the choices", () => {
  for (const kind of ["Oops", "toString", undefined]) {
    assert.throws(
      () => new DynamoError(kind as ErrorKind, "x"),
      /Unknown kind of error '\w+': choose one of Unknown, Inv/,
    );
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
    assert.equal("public" in error.toWire(), false, "what was not meant for clients is not shown to them");
  }
});

test("from() survives a value that refuses every question", () => {
  const refuse = () => {
    throw new Error("no");
  };
  const error = DynamoError.from(new Proxy({}, { get: refuse, getPrototypeOf: refuse, ownKeys: refuse }));
  assert.equal(error.kind, "Unknown");
  assert.equal(error.toWire().message, "a value that cannot be described was thrown");
});
