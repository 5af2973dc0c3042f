import assert from "node:assert/strict";
import { test } from "node:test";
import { DynamoError, invalidArgument } from "../../src/protocol/error.ts";
import { decodeError, encodeError } from "../../src/protocol/received_error.ts";

/** What a reader concludes, without the names as they were written. */
function identity(value: unknown): readonly [string, string, string | null] {
  const { class: name, reason, publicMessage } = decodeError(value);
  return [name, reason, publicMessage];
}

const INVALID = ["Internal", "runtime.invalid_error", null] as const;
const SHOWN = { type: "message", message: "shown" };

/** Older names, and what stands for them when nothing else is said. */
const LEGACY: readonly (readonly [name: string, class_: string, reason: string])[] = [
  ["InvalidArgument", "InvalidRequest", "request.invalid_argument"],
  ["CannotConnect", "Unavailable", "transport.cannot_connect"],
  ["Disconnected", "Unavailable", "transport.disconnected"],
  ["ConnectionTimeout", "DeadlineExceeded", "transport.connection_timeout"],
  ["ResponseTimeout", "DeadlineExceeded", "backend.response_timeout"],
  ["Cancelled", "Cancelled", "request.cancelled"],
  ["ResourceExhausted", "CapacityExhausted", "capacity.pool_exhausted"],
  ["WorkerOverloaded", "CapacityExhausted", "capacity.worker_overloaded"],
  ["Unavailable", "Unavailable", "backend.unavailable"],
  ["WorkerUnavailable", "Unavailable", "backend.worker_unavailable"],
  ["Unknown", "Internal", "runtime.unclassified"],
  ["NameOfTheFuture", "Internal", "runtime.unclassified"],
];
for (const [name, class_, reason] of LEGACY) {
  test(`decodeError() reads the legacy error ${name}`, () => {
    assert.deepEqual(identity({ error_type: name, message: "x" }), [class_, reason, null]);
  });
}

test("decodeError() reads legacy backend errors", () => {
  const legacy = (Backend: string) => identity({ error_type: { Backend }, message: "x" });
  assert.deepEqual(legacy("EngineShutdown"), ["Unavailable", "backend.engine_shutdown", null]);
  assert.deepEqual(legacy("KindOfTheFuture"), ["Internal", "backend.unknown", null]);
});

/** Class and reason of every canonical error that is no backend kind (protocol 02 §5.3). */
const CATALOGUE: Readonly<Record<string, readonly string[]>> = {
  Internal: ["runtime.unclassified", "runtime.invalid_error", "runtime.internal", "backend.unknown"],
  InvalidRequest: ["request.invalid", "request.invalid_argument", "backend.invalid_argument"],
  Unavailable: [
    ...["transport.cannot_connect", "transport.disconnected", "backend.unavailable", "backend.worker_unavailable"],
    ...["backend.cannot_connect", "backend.disconnected", "backend.engine_shutdown", "backend.stream_incomplete"],
  ],
  DeadlineExceeded: [
    ...["transport.connection_timeout", "backend.response_timeout", "backend.connection_timeout"],
    ...["request.deadline_exceeded", "router.queue_deadline_exceeded"],
  ],
  Cancelled: ["request.cancelled", "backend.cancelled"],
  CapacityExhausted: ["capacity.pool_exhausted", "capacity.worker_overloaded", "capacity.exhausted"],
  BackendProtocol: ["backend.protocol"],
  Unauthenticated: ["request.unauthenticated"],
  PermissionDenied: ["request.permission_denied"],
  NotFound: ["request.not_found"],
  Conflict: ["request.conflict"],
  PayloadTooLarge: ["request.payload_too_large"],
  UnsupportedMedia: ["request.unsupported_media"],
  RateLimited: ["request.rate_limited"],
  NotImplemented: ["runtime.not_implemented"],
};
for (const [class_, reasons] of Object.entries(CATALOGUE)) {
  test(`decodeError() takes ${class_} with its own reasons only`, () => {
    const known = Object.values(CATALOGUE).flat();
    for (const reason of known) {
      const wire = { error_type: "Unknown", class: class_, reason, message: "x", public: SHOWN };
      assert.deepEqual(identity(wire), reasons.includes(reason) ? [class_, reason, "shown"] : INVALID, reason);
    }
  });
}

test("decodeError() keeps names it does not know, and shows clients nothing of such an error", () => {
  const wire = { error_type: "Unknown", class: "Teapot", reason: "request.teapot", message: "x", public: SHOWN };
  const error = decodeError(wire);
  assert.deepEqual(identity(wire), INVALID);
  assert.deepEqual(error.declared, { errorType: "Unknown", class: "Teapot", reason: "request.teapot" });
  const { class: name, reason } = encodeError(error);
  assert.deepEqual([name, reason], ["Teapot", "request.teapot"]);
  // A reason that is Internal's holds for a class nobody knows.
  assert.deepEqual(identity({ class: "Teapot", reason: "runtime.internal" }), ["Internal", "runtime.internal", null]);
});

test("decodeError() prefers the class to the older name, and takes the reason from the older name", () => {
  const both = { error_type: "ResponseTimeout", class: "DeadlineExceeded", message: "x" };
  assert.deepEqual(identity(both), ["DeadlineExceeded", "backend.response_timeout", null]);
  assert.deepEqual(identity({ error_type: "Disconnected", class: "Cancelled", message: "x" }), INVALID);
});

test("decodeError() reads every form of public details, and nothing else", () => {
  const details = (value: unknown) => decodeError({ error_type: "InvalidArgument", public: value }).publicDetails;
  for (
    const value of [
      SHOWN,
      { type: "size_limit", limit: 10, actual: null },
      { type: "context_length", limit: 4096, actual: 5000 },
      { type: "rate_limit", limit: null, remaining: 0 },
    ]
  ) assert.deepEqual(details(value), value);
  for (const value of [null, "text", {}, { type: "message" }, { type: "size_limit" }, { type: "new", limit: 1 }]) {
    assert.equal(details(value), null);
  }
});

test("decodeError() reads a chain, bounded in depth, and encodeError() writes it again", () => {
  const cause = new DynamoError("Disconnected", "peer left", { cause: invalidArgument("inner") });
  const wire = new DynamoError("EngineShutdown", "gone", { cause }).toWire();
  const error = decodeError(wire);
  assert.equal(error.causedBy?.reason, "backend.disconnected");
  assert.equal(error.causedBy?.causedBy?.publicMessage, "inner");
  assert.equal(JSON.stringify(encodeError(error)), JSON.stringify(wire));
  const round: Record<string, unknown> = { error_type: "Unknown", message: "x" };
  round.caused_by = round;
  let depth = 0;
  for (let link = decodeError(round).causedBy; link; link = link.causedBy) depth++;
  assert.equal(depth, 15);
});

test("decodeError() makes the best of what is no error", () => {
  for (const value of [null, undefined, 7, "text"]) {
    assert.deepEqual(identity(value), INVALID);
  }
  assert.deepEqual(identity({}), ["Internal", "runtime.unclassified", null]);
  assert.deepEqual(identity({ error_type: { Backend: 7 }, class: [], reason: 1, message: {}, caused_by: 3 }), [
    "Internal",
    "runtime.unclassified",
    null,
  ]);
  assert.equal(decodeError({ message: "x".repeat(10_000) }).message.length, 4096);
});
