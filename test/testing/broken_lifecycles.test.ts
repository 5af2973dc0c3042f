/** Engines that break the contract around their streams, and encode workers. */
import { chunk, type GenerateChunk, usage } from "../../src/protocol/output.ts";
import { forEver, type Generate, testBroken } from "../support/kit_rig.ts";

const encodes = (piece: unknown): Generate =>
  async function* (_request, ctx) {
    yield ctx.signal.aborted ? chunk.cancelled() : piece as GenerateChunk;
  };
const handedOn = { ...chunk.stop(usage(3, 0)), encoder_result: { handle: "h" } };

testBroken({
  "start throws": {
    check: "start",
    failure: "StartFailed",
    message: /no device/,
    make: () => ({ start: () => Promise.reject(new Error("no device")) }),
  },
  "start hangs": {
    check: "start",
    failure: "StartFailed",
    message: /start did not finish within 30 s/,
    make: () => ({ start: () => forEver }),
  },
  "the model has no name": {
    check: "start",
    failure: "EmptyModelInConfig",
    message: /without a model name/,
    make: () => ({ start: () => Promise.resolve({ model: "" }) }),
  },
  "start returns nothing": {
    check: "start",
    failure: "EmptyModelInConfig",
    message: /without a model name/,
    make: () => ({ start: () => Promise.resolve(undefined as never) }),
  },
  "drain throws": {
    check: "drain",
    failure: "DrainFailed",
    message: /threw: Error: still busy/,
    make: () => ({ drain: () => Promise.reject(new Error("still busy")) }),
  },
  "drain hangs": {
    check: "drain",
    failure: "DrainFailed",
    message: /did not finish within 30 s/,
    make: () => ({ drain: () => forEver }),
  },
  "cleanup throws": {
    check: "cleanup",
    failure: "CleanupFailed",
    message: /cleanup threw: Error: stuck/,
    make: () => {
      let isStarted = false;
      return {
        start: () => Promise.resolve({ model: isStarted ? "" : (isStarted = true, "m") }),
        cleanup() {
          if (isStarted) throw new Error("stuck");
        },
      };
    },
  },
  "cleanup hangs": {
    check: "cleanup",
    failure: "CleanupFailed",
    message: /did not finish within 30 s/,
    make: () => {
      let isStarted = false;
      return {
        start: () => Promise.resolve({ model: isStarted ? "" : (isStarted = true, "m") }),
        cleanup: () => isStarted ? forEver : undefined,
      };
    },
  },
  "a second cleanup throws": {
    check: "second_cleanup",
    failure: "SecondCleanupFailed",
    message: /a second cleanup threw: Error: freed twice/,
    make: () => {
      let cleanups = 0;
      return {
        cleanup() {
          if (++cleanups > 1) throw new Error("freed twice");
        },
      };
    },
  },
  "cleanup without start throws": {
    check: "cleanup_without_start",
    failure: "CleanupWithoutStartFailed",
    message: /never started threw: TypeError/,
    make: () => {
      let device: { close(): void } | null = null;
      return {
        start: () => Promise.resolve({ model: device === null ? (device = { close() {} }, "m") : "" }),
        cleanup: () => device!.close(),
      };
    },
  },
  "an encode worker yields twice": {
    check: "generate",
    failure: "EncodeChunkCount",
    message: /yielded 2/,
    role: "encode",
    make: () => ({
      async *generate() {
        yield chunk.tokens([]);
        yield handedOn;
      },
    }),
  },
  "an encode worker yields nothing": {
    check: "generate",
    failure: "EncodeChunkCount",
    message: /yielded 0/,
    role: "encode",
    make: () => ({ async *generate() {} }),
  },
  "an encode worker says length": {
    check: "generate",
    failure: "EncodeTerminalExpected",
    message: /not stop/,
    role: "encode",
    make: () => ({ generate: encodes({ ...handedOn, finish_reason: "length" }) }),
  },
  "an encode worker yields tokens": {
    check: "generate",
    failure: "EncodeTokensNotEmpty",
    message: /not empty/,
    role: "encode",
    make: () => ({ generate: encodes({ ...handedOn, token_ids: [1] }) }),
  },
  "an encode worker counts wrong": {
    check: "generate",
    failure: "EncodeUsageMismatch",
    message: /3 \+ 0 = 3, not 3 \+ 1 = 4/,
    role: "encode",
    make: () => ({ generate: encodes({ ...handedOn, completion_usage: usage(3, 1) }) }),
  },
  "an encode worker hands a string on": {
    check: "generate",
    failure: "EncoderResultExpectedObject",
    message: /no encoder_result object/,
    role: "encode",
    make: () => ({ generate: encodes({ ...handedOn, encoder_result: "handle" }) }),
  },
  "an encode worker ignores a cancel": {
    check: "cancellation",
    failure: "CancellationIgnored",
    message: /"stop", not cancelled/,
    role: "encode",
    make: () => ({
      async *generate(request) {
        yield { ...handedOn, completion_usage: usage(request.token_ids.length, 0) };
      },
    }),
  },
});
