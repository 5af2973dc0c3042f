/**
 * Dynamo's own subscribers of forward passes, those of its planner, on a Stator worker: they read what they read from
 * Dynamo's mocker.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { ForwardPassMetrics } from "../../src/protocol/load_event.ts";
import { COMPLETIONS, startFrontend } from "../support/frontend.ts";
import { startMocker } from "../support/mocker_load.ts";
import { PYTHON, REPOSITORY, requirePeers, TINY_WORDS_MODEL } from "../support/peers.ts";
import { start, until } from "../support/processes.ts";
import { isHeartbeat, passOf, recordedPrompt, recordedRuns } from "../support/recorded_passes.ts";
import { makeStore } from "../support/store.ts";

const PROGRAM = join(REPOSITORY, "test/support/peers/fpm_subscriber.py");
const RUN = recordedRuns().at(-1)!;

/** A message without what differs from run to run; the clock's last digits are lost in the length of a pass. */
function comparable(metrics: ForwardPassMetrics) {
  const { wallTimeSeconds, ...work } = passOf(metrics);
  return { rank: metrics.dp_rank, ...work, nanoseconds: Math.round(wallTimeSeconds * 1e9) };
}

test("a planner hears of every pass of every rank, and of idle ranks", { timeout: 120_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("fpm");
  await using frontend = await startFrontend(store);
  await using _worker = await startMocker(store, "stator", RUN.flags, { DYN_EVENT_PLANE_HOST: "127.0.0.1" });
  await frontend.listed(TINY_WORDS_MODEL);
  await using subscriber = start({
    name: "fpm subscriber",
    executable: PYTHON,
    args: [PROGRAM, "dynamo.backend.generate", "zmq"],
    env: store.env,
  });
  const got = () => lines(subscriber.stdout(), "got").map((json): ForwardPassMetrics => JSON.parse(json));
  await until("both ranks to be idle", 30_000, () => new Set(got().map(({ dp_rank }) => dp_rank)).size === 2);
  for (const [promptTokens, max_tokens] of RUN.requests) {
    const body = { model: TINY_WORDS_MODEL, prompt: recordedPrompt(promptTokens), max_tokens };
    assert.equal((await frontend.post(COMPLETIONS, body)).status, 200);
  }
  const passes = () => got().filter((metrics) => !isHeartbeat(metrics)).map(comparable);
  const recorded = RUN.messages.map(({ metrics }) => metrics).filter((metrics) => !isHeartbeat(metrics)).map(
    comparable,
  );
  await until("all passes", 10_000, () => passes().length >= recorded.length);
  assert.deepEqual(passes(), recorded);
  const before = got().length;
  const heartbeats = () => got().slice(before).filter(isHeartbeat);
  await until("both ranks to be idle again", 10_000, () => heartbeats().length >= 2);
  for (const rank of [0, 1]) {
    const mine = got().filter(({ dp_rank }) => dp_rank === rank).map(({ counter_id }) => Number(counter_id));
    assert.deepEqual(mine, mine.map((_, i) => mine[0]! + i), "no message is lost");
  }
  const tracked = lines(subscriber.stdout(), "tracked").map((line) => line.split(" ").slice(0, 2).join(" "));
  const { worker_id } = got()[0]!;
  assert.deepEqual([...new Set(tracked)].sort(), [`${worker_id} 0`, `${worker_id} 1`]);
  console.log(`${recorded.length} passes and ${heartbeats().length} heartbeats of worker ${worker_id}`);
});

function lines(output: string, word: string): string[] {
  return output.split("\n").slice(0, -1).filter((line) => line.startsWith(`${word} `))
    .map((line) => line.slice(word.length + 1));
}
