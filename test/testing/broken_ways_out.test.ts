/** Engines that mix streams up, or do not let go of them. */
import { chunk, usage } from "../../src/protocol/output.ts";
import { changed, forEver, good, HOUR, testBroken } from "../support/kit_rig.ts";

testBroken({
  "streams share their state": {
    check: "concurrent_generates",
    failure: "ConcurrentGenerateFailed",
    message: /stream \d of 8 at once: \w+: /,
    make: () => {
      let sent = 0;
      return {
        async *generate(request, ctx) {
          sent = 0;
          for await (const piece of good(request, ctx)) {
            sent += piece.token_ids.length;
            yield piece.finish_reason === "length"
              ? { ...piece, completion_usage: usage(request.token_ids.length, sent) }
              : piece;
          }
        },
      };
    },
  },
  "only one stream at a time": {
    check: "concurrent_generates",
    failure: "ConcurrentGenerateFailed",
    message: /GenerateFailed.*busy/,
    make: () => {
      let isBusy = false;
      return {
        async *generate(request, ctx) {
          if (isBusy) throw new Error("busy");
          isBusy = true;
          try {
            yield* good(request, ctx);
          } finally {
            isBusy = false;
          }
        },
      };
    },
  },
  "a cancel is not observed": {
    check: "cancellation",
    failure: "CancellationNotObserved",
    message: /went on for 2 s/,
    make: () => ({ generate: (request, ctx) => good(request, { ...ctx, signal: new AbortController().signal }) }),
  },
  "a cancelled stream sleeps": {
    check: "cancellation",
    failure: "CancellationNotObserved",
    message: /went on for 2 s/,
    make: () => ({
      async *generate(request, ctx) {
        if (ctx.signal.aborted) await ctx.clock.sleepUntil(ctx.clock.now() + HOUR);
        yield* good(request, ctx);
      },
    }),
  },
  "a cancelled stream hangs": {
    check: "cancellation",
    failure: "CancellationNotObserved",
    message: /went on for 2 s/,
    make: () => ({
      async *generate(request, ctx) {
        if (ctx.signal.aborted) await forEver;
        yield* good(request, ctx);
      },
    }),
  },
  "a cancelled stream says stop": {
    check: "cancellation",
    failure: "CancellationIgnored",
    message: /finish_reason "stop", not cancelled/,
    make: () => ({ generate: changed((piece) => piece.finish_reason === "cancelled" ? chunk.stop() : piece) }),
  },
  "a cancelled stream says nothing": {
    check: "cancellation",
    failure: "NoChunksYielded",
    message: /owes a chunk/,
    make: () => ({
      async *generate(request, ctx) {
        if (!ctx.signal.aborted) yield* good(request, ctx);
      },
    }),
  },
  "a cancelled stream throws": {
    check: "cancellation",
    failure: "StreamYieldedError",
    message: /threw instead of .*Aborted/,
    make: () => ({
      async *generate(request, ctx) {
        ctx.signal.throwIfAborted();
        yield* good(request, ctx);
      },
    }),
  },
  "a cancelled stream goes on after its end": {
    check: "cancellation",
    failure: "ChunkAfterTerminal",
    message: /after a cancel/,
    make: () => ({
      async *generate(request, ctx) {
        yield* good(request, ctx);
        if (ctx.signal.aborted) yield chunk.tokens([]);
      },
    }),
  },
  "abort throws": {
    check: "cancellation",
    failure: "AbortFailed",
    message: /abort threw: Error: no scheduler/,
    make: () => ({
      abort() {
        throw new Error("no scheduler");
      },
    }),
  },
  "a cancel before the first token is not observed": {
    check: "cancellation_before_first_token",
    failure: "CancellationBeforeFirstTokenNotObserved",
    message: /went on for 2 s/,
    make: () => ({
      async *generate(request, ctx) {
        // The prompt takes a while, and cannot be interrupted.
        if (!ctx.signal.aborted) await ctx.clock.sleepUntil(ctx.clock.now() + 5000);
        yield* good(request, ctx);
      },
    }),
  },
  "a cancel between tokens is not observed": {
    check: "cancellation_mid_stream",
    failure: "CancellationMidStreamNotObserved",
    message: /went on for 2 s/,
    make: () => ({
      async *generate(request, ctx) {
        let inner = ctx;
        for await (
          const piece of good(request, {
            ...ctx,
            get signal() {
              return inner.signal;
            },
          })
        ) {
          inner = { ...ctx, signal: new AbortController().signal };
          yield piece;
        }
      },
    }),
  },
  "finally hangs": {
    check: "early_return",
    failure: "EarlyReturnNotObserved",
    message: /finally blocks did not finish within 2 s/,
    make: () => ({
      async *generate(request, ctx) {
        let isDone = false;
        try {
          yield* good(request, ctx);
          isDone = true;
        } finally {
          if (!isDone && !ctx.signal.aborted) await forEver;
        }
      },
    }),
  },
  "finally takes too long": {
    check: "early_return",
    failure: "EarlyReturnNotObserved",
    message: /finally blocks did not finish within 2 s/,
    make: () => ({
      async *generate(request, ctx) {
        let isDone = false;
        try {
          yield* good(request, ctx);
          isDone = true;
        } finally {
          if (!isDone) await ctx.clock.sleepUntil(ctx.clock.now() + HOUR);
        }
      },
    }),
  },
  "finally throws": {
    check: "early_return",
    failure: "EarlyReturnFailed",
    message: /no such slot/,
    make: () => ({
      async *generate(request, ctx) {
        let isDone = false;
        try {
          yield* good(request, ctx);
          isDone = true;
        } finally {
          // deno-lint-ignore no-unsafe-finally
          if (!isDone) throw new Error("no such slot");
        }
      },
    }),
  },
  "the stream cannot be left": {
    check: "early_return",
    failure: "EarlyReturnIgnored",
    message: /no return method/,
    make: () => ({
      generate: (request, ctx) => {
        const inner = good(request, ctx)[Symbol.asyncIterator]();
        return { [Symbol.asyncIterator]: () => ({ next: () => inner.next() }) };
      },
    }),
  },
  "the stream goes on when it is left": {
    check: "early_return",
    failure: "EarlyReturnIgnored",
    message: /did not end when the consumer left/,
    make: () => ({
      generate: (request, ctx) => {
        const inner = good(request, ctx)[Symbol.asyncIterator]();
        const left = () => Promise.resolve({ done: true as const, value: undefined });
        return { [Symbol.asyncIterator]: () => ({ next: () => inner.next(), return: left }) };
      },
    }),
  },
  "slots leak when streams are left": {
    check: "early_return",
    failure: "EarlyReturnLeaked",
    message: /after 16 streams .* GenerateFailed: .*full/,
    make: () => {
      let free = 16;
      return {
        async *generate(request, ctx) {
          if (free === 0) throw new Error("full");
          free--;
          yield* good(request, ctx);
          free++;
        },
      };
    },
  },
});
