/**
 * Dynamo's mocker behind its own frontend, recorded by the clock on the wall, against the live engine in virtual time.
 *
 * Counts, ends and usage are the same; times may differ by the longest pass of the run, since it is chance which pass a
 * request still catches, and the way to the client takes 2 to 12 ms. Which of the requests that are sent together comes
 * first is chance too, so first tokens and last tokens are compared in the order of their times.
 *
 * `disagg.json` needs a rendezvous and `reasoning.json` reasoning parts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type MockerRig, startMockerRig } from "../../support/mocker_rig.ts";
import {
  type Answered,
  answered,
  type Ask,
  askOf,
  recordedFile,
  type RecordedRequest,
  runWorkload,
} from "../../support/recorded_runs.ts";

interface Run {
  readonly file: string;
  readonly flags: readonly string[];
  /** Workloads whose times cannot be compared. */
  readonly untimed?: readonly string[];
}

const BLOCKS = ["--block-size", "16"];
const RUNS: readonly Run[] = [
  { file: "default", flags: BLOCKS },
  { file: "kv_exhaustion", flags: [...BLOCKS, "--num-gpu-blocks-override", "40"] },
  // The passes take 2 ms, the way to the client took 10, and one of the eight got all its tokens after a pause of 40.
  { file: "speedup10", flags: [...BLOCKS, "--speedup-ratio", "10"], untimed: ["single", "concurrent8"] },
  { file: "speedup0", flags: [...BLOCKS, "--speedup-ratio", "0"] },
  { file: "dp2", flags: [...BLOCKS, "--data-parallel-size", "2"] },
  { file: "sglang", flags: ["--engine-type", "sglang"] },
];

for (const { file, flags, untimed = [] } of RUNS) {
  const { args, workloads } = recordedFile(file);
  for (const [name, requests] of Object.entries(workloads)) {
    test(`recorded run ${file}, ${name}`, async () => {
      assert.ok(args.startsWith(flags.join(" ")), args);
      const rig = await startMockerRig(...flags);
      const ours = await runWorkload(name, requests, askOf(rig));
      assertAnswers(ours, requests);
      if (!untimed.includes(name)) assertTimes(ours, requests, longestPass(rig));
    });
  }
}

test("recorded run kv_exhaustion: one preemption", async () => {
  const { args, workloads } = recordedFile("kv_exhaustion");
  const [, recorded] = /num_preemptions_total was (\d+)/.exec(args)!;
  const rig = await startMockerRig(...BLOCKS, "--num-gpu-blocks-override", "40");
  await runWorkload("kv_exhaustion6", workloads["kv_exhaustion6"]!, askOf(rig));
  const text = await rig.engine.metricsSources!()[0]!.expfmt!();
  assert.equal(/num_preemptions_total\{.*\} (\d+)/.exec(text)![1], recorded);
});

test("recorded run speedup10, single: from the first token to the last", async () => {
  const [request] = recordedFile("speedup10").workloads["single"]!;
  const rig = await startMockerRig(...BLOCKS, "--speedup-ratio", "10");
  const [ours] = await runWorkload("single", [request!], askOf(rig));
  const { total_ms, ttft_ms } = request!;
  assertNear([ours!.lastAt - ours!.firstAt], [total_ms - ttft_ms], longestPass(rig), "the answer");
});

const TRANSFER = ["--kv-transfer-bandwidth", "0.001", "--kv-bytes-per-token", "1000"];

for (const [name, requests] of Object.entries(recordedFile("disagg_no_bootstrap").workloads)) {
  test(`recorded run disagg_no_bootstrap, ${name}`, async () => {
    const start = (role: string) => startMockerRig("--disaggregation-mode", role, ...BLOCKS, ...TRANSFER);
    const [prefill, decode] = [await start("prefill"), await start("decode")];
    const ours = await runWorkload(name, requests, askBoth(prefill, decode));
    assertAnswers(ours, requests);
    assertTimes(ours, requests, longestPass(prefill));
  });
}

/** Sends requests to two engines, as a frontend does: to the second when the first is done. */
function askBoth(prefill: MockerRig, decode: MockerRig): Ask {
  const [prefillBegin, decodeBegin] = [prefill.now(), decode.now()];
  return async (prompt, max_tokens, at) => {
    await prefill.context().clock.sleepUntil(prefillBegin + at);
    const [handedOver] = await prefill.ask(prompt, { stop_conditions: { max_tokens } });
    await decode.context().clock.sleepUntil(decodeBegin + handedOver!.at - prefillBegin);
    const { disaggregated_params } = handedOver!.chunk;
    const body = { stop_conditions: { max_tokens }, prefill_result: { disaggregated_params } };
    return answered(await decode.ask(prompt, body), decodeBegin);
  };
}

function longestPass({ told }: MockerRig): number {
  return Math.max(...told.map((each) => each.kind === "pass" ? 1000 * each.pass.wallTimeSeconds : 0));
}

function assertAnswers(ours: readonly Answered[], recorded: readonly RecordedRequest[]): void {
  for (const [i, { token_ids, finish_reason, usage, error }] of recorded.entries()) {
    const { tokens, finishReason, usage: mine } = ours[i]!;
    assert.equal(error, null);
    assert.deepEqual([tokens, finishReason], [token_ids.length, finish_reason], `request ${i}`);
    const { prompt_tokens_details: details, ...counts } = usage;
    const { prompt_tokens_details: ourDetails, ...ourCounts } = mine!;
    assert.deepEqual(ourCounts, counts, `request ${i}`);
    // Of SGLang's cache the peer says nothing.
    if (details) assert.equal(ourDetails?.cached_tokens, details.cached_tokens, `request ${i}`);
  }
}

function assertTimes(ours: readonly Answered[], recorded: readonly RecordedRequest[], toleranceMs: number): void {
  const first = recorded.map(({ start_ms, ttft_ms }) => start_ms + ttft_ms);
  const last = recorded.map(({ start_ms, total_ms }) => start_ms + total_ms);
  assertNear(ours.map(({ firstAt }) => firstAt), first, toleranceMs, "first token");
  assertNear(ours.map(({ lastAt }) => lastAt), last, toleranceMs, "last token");
}

function assertNear(ours: readonly number[], recorded: readonly number[], toleranceMs: number, what: string): void {
  const inOrder = (times: readonly number[]) => times.toSorted((a, b) => a - b);
  const [mine, theirs] = [inOrder(ours), inOrder(recorded)];
  for (const [i, at] of theirs.entries()) {
    const isNear = Math.abs(mine[i]! - at) <= toleranceMs;
    assert.ok(isNear, `${what} ${i}: ${mine[i]} ms, recorded ${at} ms; a pass takes up to ${toleranceMs} ms`);
  }
}
