/** Engines that cannot say which data-parallel ranks they have. */
import type { ForwardPassPublisher } from "../../src/engine/forward_pass.ts";
import type { KvEventSource } from "../../src/engine/kv_source.ts";
import { chunk } from "../../src/protocol/output.ts";
import { forEver, testBroken } from "../support/kit_rig.ts";

const source = (dpRank: number): KvEventSource => ({ kind: "push", dpRank, onReady() {} });
const twoRanks = () => Promise.resolve({ model: "m", maxNumSeqs: 16, dataParallelStartRank: 2, dataParallelSize: 2 });
/** Answers one after the other. */
const inTurn = <T>(...answers: readonly T[]): () => T => {
  let asked = 0;
  return () => answers[asked++ % answers.length]!;
};

const WORK = { numPrefillRequests: 0, sumPrefillTokens: 0, numDecodeRequests: 0, sumDecodeKvTokens: 0 };
const PASS = { wallTimeSeconds: 0, scheduled: { ...WORK, sumPrefillKvTokens: 0 }, queued: WORK };

testBroken({
  "kvEventSources throws": {
    check: "kv_event_sources",
    failure: "KvEventSourcesFailed",
    message: /^kvEventSources threw: Error: no socket$/,
    make: () => ({ kvEventSources: () => Promise.reject(new Error("no socket")) }),
  },
  "kvEventSources hangs": {
    check: "kv_event_sources",
    failure: "KvEventSourcesFailed",
    message: /did not finish within 30 s/,
    make: () => ({ kvEventSources: () => forEver }),
  },
  "kvEventSources works once": {
    check: "kv_event_sources",
    failure: "KvEventSourcesFailed",
    message: /^a second kvEventSources threw: /,
    make: () => {
      const answer = inTurn(() => [source(0)], () => {
        throw new Error("twice");
      });
      return { kvEventSources: () => answer()() };
    },
  },
  "kvEventSources returns nothing": {
    check: "kv_event_sources",
    failure: "KvEventSourcesFailed",
    message: /threw: TypeError/,
    make: () => ({ kvEventSources: () => undefined as never }),
  },
  "a source is for another worker's rank": {
    check: "kv_event_sources",
    failure: "KvEventSourcesFailed",
    message: /told rank 0, but the engine's ranks are 2 to 3/,
    make: () => ({ start: twoRanks, kvEventSources: () => [source(2), source(0)] }),
  },
  "two sources are for one rank": {
    check: "kv_event_sources",
    failure: "KvEventSourcesFailed",
    message: /told a rank twice/,
    make: () => ({ kvEventSources: () => [source(0), source(0)] }),
  },
  "kvEventSources changes its mind": {
    check: "kv_event_sources",
    failure: "KvEventSourcesNotIdempotent",
    message: /told ranks \[2, 3\], and \[2\] the second time/,
    make: () => ({ start: twoRanks, kvEventSources: inTurn([source(3), source(2)], [source(2)]) }),
  },
  "componentMetricsDpRanks throws": {
    check: "component_metrics",
    failure: "SetupMetricsFailed",
    message: /threw: Error: no gauge/,
    make: () => ({
      componentMetricsDpRanks() {
        throw new Error("no gauge");
      },
    }),
  },
  "componentMetricsDpRanks returns no list": {
    check: "component_metrics",
    failure: "SetupMetricsFailed",
    message: /returned no list/,
    make: () => ({ componentMetricsDpRanks: () => 2 as never }),
  },
  "componentMetricsDpRanks returns no ranks": {
    check: "component_metrics",
    failure: "SetupMetricsFailed",
    message: /told rank 0\.5/,
    make: () => ({ componentMetricsDpRanks: () => [0.5] }),
  },
  "componentMetricsDpRanks changes its mind": {
    check: "component_metrics",
    failure: "ComponentMetricsNotIdempotent",
    message: /told ranks \[0\], and \[\] the second time/,
    make: () => ({ componentMetricsDpRanks: inTurn([0], []) }),
  },
  "attachForwardPassPublisher throws": {
    check: "forward_passes",
    failure: "ForwardPassesFailed",
    message: /^attachForwardPassPublisher threw: Error: no queue$/,
    make: () => ({
      attachForwardPassPublisher() {
        throw new Error("no queue");
      },
    }),
  },
  "a pass is of another worker's rank": {
    check: "forward_passes",
    failure: "ForwardPassesFailed",
    message: /threw: RangeError: Cannot publish a forward pass of rank 1: the ranks of this worker are 2 to 3/,
    make: () => ({
      start: twoRanks,
      attachForwardPassPublisher: (publisher) => publisher.publish(1, PASS),
    }),
  },
  "a pass has half a token": {
    check: "generate",
    failure: "GenerateFailed",
    message: /RangeError: Cannot publish a forward pass of rank 0: queued\.sumPrefillTokens is 0\.5/,
    make: () => {
      let passes: ForwardPassPublisher;
      return {
        attachForwardPassPublisher: (publisher) => void (passes = publisher),
        async *generate() {
          await Promise.resolve();
          passes.publish(0, { ...PASS, queued: { ...WORK, sumPrefillTokens: 0.5 } });
          yield chunk.stop();
        },
      };
    },
  },
});
