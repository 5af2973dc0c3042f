/** The forward passes of the live engine are those of the peer: recorded replays, and what its own worker published. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ForwardPass } from "@stator/worker";
import { goldenReplay, goldenReplayNames } from "../../support/golden_replay.ts";
import { goldenText } from "../../support/golden.ts";
import { type MockerRig, startMockerRig } from "../../support/mocker_rig.ts";
import { isHeartbeat, passOf, recordedPrompt, recordedRuns } from "../../support/recorded_passes.ts";

/** Lost by the peer, which sums variances in the order of random ids, and in `end - begin`, relative to the value. */
const ROUNDING = 1e-9;
const ROUNDED = /^var|^wall/;

/** Passes of each rank. */
function passesOf({ told }: MockerRig): Map<number, ForwardPass[]> {
  const passes = told.flatMap((each) => each.kind === "pass" ? [each] : []);
  return new Map(
    [...Map.groupBy(passes, ({ rank }) => rank)].map(([rank, all]) => [rank, all.map(({ pass }) => pass)]),
  );
}

function assertSame(ours: readonly ForwardPass[], theirs: readonly ForwardPass[], rank: number): void {
  for (const [i, pass] of theirs.entries()) {
    const actual = figuresOf(ours[i]!);
    for (const [name, expected] of figuresOf(pass)) {
      const tolerance = ROUNDED.test(name.split(".").at(-1)!) ? ROUNDING * expected : 0;
      const found = actual.get(name)!;
      assert.ok(
        Math.abs(found - expected) <= tolerance,
        `pass ${i} of rank ${rank}: ${name} ${found}, not ${expected}`,
      );
    }
  }
}

function figuresOf({ wallTimeSeconds, scheduled, queued }: ForwardPass): Map<string, number> {
  const named = (of: string, work: object) =>
    Object.entries(work).map(([name, value]): [string, number] => [`${of}.${name}`, value]);
  return new Map([["wallTimeSeconds", wallTimeSeconds], ...named("scheduled", scheduled), ...named("queued", queued)]);
}

interface TraceLine {
  readonly timestamp: number;
  readonly input_length: number;
  readonly output_length: number;
  readonly hash_ids: readonly number[];
}

/** Requests of these come together, or all in the first pass, so that when exactly a timer rings makes no difference. */
const NAMES = goldenReplayNames().filter((name) =>
  (name.startsWith("burst8") && name !== "burst8-concurrency-3") || name.startsWith("pressure6")
);

for (const name of NAMES) {
  test(`passes of the recorded replay ${name}`, async () => {
    const { args, trace, trace_block_size, passes } = goldenReplay(name);
    const lines = goldenText(`mocker/replay/${trace}`).trim().split("\n").map((line): TraceLine => JSON.parse(line));
    // The engine begins with its first request, whereas a replay has all of a moment in its first pass.
    const isBurst = lines.every(({ timestamp }) => timestamp === 0);
    const engineArgs = { ...args["engine_args"] as object, ...(isBurst ? { startup_time: 1 } : {}) };
    const rig = await startMockerRig("--extra-engine-args", JSON.stringify(engineArgs));
    const { clock } = rig.context();
    const begin = rig.now();
    await Promise.all(lines.map(async ({ timestamp, input_length, output_length, hash_ids }) => {
      await clock.sleepUntil(begin + timestamp);
      const prompt = hash_ids.flatMap((id) => Array<number>(trace_block_size).fill(id)).slice(0, input_length);
      await rig.ask(prompt, { stop_conditions: { max_tokens: output_length } });
    }));
    const recorded = Map.groupBy(passes, ([, , , pass]) => pass["dp_rank"]!);
    const ours = passesOf(rig);
    for (const [rank, theirs] of recorded) {
      assert.ok(theirs.length > 0 && ours.get(rank)!.length >= theirs.length);
      assertSame(ours.get(rank)!, theirs.map(([, , , pass]) => replayPass(pass)), rank);
    }
  });
}

function replayPass(pass: Readonly<Record<string, number>>): ForwardPass {
  return {
    wallTimeSeconds: pass["wall_time"]!,
    scheduled: {
      numPrefillRequests: pass["num_prefill_requests"]!,
      sumPrefillTokens: pass["sum_prefill_tokens"]!,
      varPrefillLength: pass["var_prefill_length"]!,
      sumPrefillKvTokens: pass["sum_prefill_kv_tokens"]!,
      numDecodeRequests: pass["num_decode_requests"]!,
      sumDecodeKvTokens: pass["sum_decode_kv_tokens"]!,
      varDecodeKvTokens: pass["var_decode_kv_tokens"]!,
    },
    queued: {
      numPrefillRequests: pass["num_queued_prefill"]!,
      sumPrefillTokens: pass["sum_queued_prefill_tokens"]!,
      varPrefillLength: pass["var_queued_prefill_length"]!,
      numDecodeRequests: pass["num_queued_decode"]!,
      sumDecodeKvTokens: pass["sum_queued_decode_kv_tokens"]!,
      varDecodeKvTokens: pass["var_queued_decode_kv_tokens"]!,
    },
  };
}

for (const { flags, requests, messages } of recordedRuns()) {
  test(`passes that the peer's worker published: ${flags.join(" ")}`, async () => {
    const rig = await startMockerRig(...flags);
    for (const [promptTokens, max_tokens] of requests) {
      await rig.ask(recordedPrompt(promptTokens), { stop_conditions: { max_tokens } });
    }
    const theirs = Map.groupBy(messages.map(({ metrics }) => metrics), ({ dp_rank }) => dp_rank);
    const ours = passesOf(rig);
    assert.deepEqual([...ours.keys()], [...theirs.keys()]);
    for (const [rank, all] of theirs) {
      const expected = all.filter((metrics) => !isHeartbeat(metrics)).map(passOf);
      assert.equal(ours.get(rank)!.length, expected.length);
      assertSame(ours.get(rank)!, expected, rank);
    }
  });
}
