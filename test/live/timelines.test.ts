/**
 * How a worker ends, line by line beside the captured ends of Dynamo's own worker. Order and exit codes count, times do
 * not. Every difference is wanted and has its reason here.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CHAT, chat, type Frontend, startFrontend } from "../support/frontend.ts";
import { eventNames } from "../support/fault_events.ts";
import { seedOf } from "../support/fault_scenarios.ts";
import { requirePeers, TINY_MODEL } from "../support/peers.ts";
import { pause, until } from "../support/processes.ts";
import { startPythonWorker } from "../support/python_worker.ts";
import { startReadyStator, startStator, type Stator } from "../support/stator.ts";
import { makeStore } from "../support/store.ts";
import { essence, formatTimeline, goldenTimeline, recordTimeline, type Timeline } from "../support/timeline.ts";
import { compareLines, explain, type Reason, unexplained } from "../support/timeline_diff.ts";

const IN_ORDER = ["idle", "idle, SIGINT", "loaded", "twice"];
const REGISTERED = [...IN_ORDER, "hung cleanup"];

const REASONS: readonly Reason[] = [
  {
    side: "-",
    line: /register_prometheus|component_metrics_dp_ranks|kv_event_sources|attach_snapshot_publisher|on_endpoint_ready/,
    why: "hooks that the engine of this test does not have",
  },
  { side: "-", line: /health_check_payload/, why: "asked for only when the canary is on" },
  {
    side: "+",
    line: /(?:endpoint|card)_record_deleted/,
    lives: REGISTERED,
    why: "the capture did not watch the store",
  },
  {
    side: "+",
    line: /drain/,
    lives: REGISTERED,
    why: "Dynamo 1.6.1 has no drain(): decision 3 calls it after the requests and before cleanup",
  },
  { side: "+", line: /INFO (?:Starting engine|Engine started)/, why: "Dynamo's worker says nothing while it loads" },
  { side: "+", line: /generate|generate_done/, lives: ["loaded"], why: "the captured worker was idle" },
  { side: "-", line: /INFO Received shutdown signal.*/, why: "said in other words" },
  {
    side: "-",
    line: /INFO Grace period Ns before drain/,
    lives: REGISTERED,
    why: "said in other words",
  },
  {
    side: "-",
    line: /INFO (?:Shutdown signal observed during engine\.start\(\).*|Grace period Ns before drain)/,
    lives: ["during start"],
    why: "nothing was registered, so no frontend needs time to notice",
  },
  { side: "+", line: /INFO Readiness withdrawn/, lives: REGISTERED, why: "said in other words" },
  {
    side: "+",
    line: /INFO Endpoint record deleted/,
    lives: REGISTERED,
    why: "not among the lines that the capture kept",
  },
  {
    side: "+",
    line: /INFO Grace period Ns before new requests are refused/,
    lives: REGISTERED,
    why: "said in other words",
  },
  {
    side: "-",
    line: /INFO Engine cleanup complete/,
    lives: IN_ORDER,
    why: "decision 3: requests in flight finish before cleanup, not after it",
  },
  {
    side: "+",
    line: /INFO Engine cleanup complete/,
    lives: IN_ORDER,
    why: "decision 3: cleanup comes after the requests have finished",
  },
  { side: "-", line: /INFO Initializing KV store .*/, lives: ["hung cleanup"], why: "captured with the start's lines" },
  {
    side: "-",
    line: /WARN Failed to unregister endpoint from discovery/,
    lives: IN_ORDER,
    why: "Dynamo's worker deletes its endpoint record twice",
  },
  {
    side: "-",
    line: /INFO Phase [12]/,
    lives: ["during start", "failed start"],
    why: "nothing was registered, so there are no requests to refuse or to wait for",
  },
  {
    side: "-",
    line: /Traceback.*|Exception: Internal: RuntimeError: start exploded/,
    lives: ["failed start"],
    why: "one readable line instead of a stack, with the kind of the worker contract",
  },
  {
    side: "+",
    line: /EngineShutdown: engine\.start\(\) failed: Error: raised Error/,
    lives: ["failed start"],
    why: "promise 189: a failed start is EngineShutdown, in one line",
  },
  {
    side: "-",
    line: /exit -2|Traceback.*|asyncio\.exceptions\.CancelledError|sys:1: RuntimeWarning.*/,
    lives: ["idle, SIGINT"],
    why: "Python's own handling of SIGINT kills its worker before cleanup; here SIGINT is SIGTERM",
  },
  {
    side: "+",
    line: /exit 0|cleanup|cleanup_done|INFO Phase [123]/,
    lives: ["idle, SIGINT"],
    why: "Python's own handling of SIGINT kills its worker before cleanup; here SIGINT is SIGTERM",
  },
  { side: "-", line: /exit 0/, lives: ["twice"], why: "Dynamo's worker ignores a second signal" },
  {
    side: "+",
    line: /exit 3/,
    lives: ["twice"],
    why: "decision 3 and I7: a second signal forces the end, with code 3",
  },
  {
    side: "+",
    line: /(?:INFO|WARN) (?:SIGTERM received|Shutdown stage \w+ ran out of time)/,
    lives: ["twice"],
    why: "decision 3: a second signal skips to the forced stage",
  },
  { side: "-", line: /exit 143/, lives: ["hung cleanup"], why: "I7: the code for the deadline is 3" },
  { side: "+", line: /exit 3/, lives: ["hung cleanup"], why: "I7: the code for the deadline is 3" },
  {
    side: "-",
    line: /ERROR Graceful shutdown exceeded Ns.*/,
    lives: ["hung cleanup"],
    why: "the deadline holds for each stage: cleanup is cut so that records still go and the rest is closed in order",
  },
  {
    side: "+",
    line: /WARN Shutdown stage cleanup ran out of time|INFO Phase [123]/,
    lives: ["hung cleanup"],
    why: "the deadline holds for each stage: cleanup is cut so that records still go and the rest is closed in order",
  },
];

const used = new Set<Reason>();
const compared = new Set<string>();

/** Prints a timeline beside the captured one, and fails on a difference without a reason. */
function compare(ours: Timeline, golden: string): void {
  console.log(formatTimeline(ours));
  const lines = explain(ours.name, compareLines(essence(goldenTimeline(golden)), essence(ours)), REASONS);
  console.log(`--- beside the captured timeline ${golden}`);
  for (const { side, line, reason } of lines) console.log(`${side} ${line}${reason ? `   # ${reason.why}` : ""}`);
  for (const { reason } of lines) if (reason !== undefined) used.add(reason);
  compared.add(ours.name);
  assert.deepEqual(unexplained(lines), []);
}

const GRACE = { DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS: "1", STATOR_TEST_CLEANUP_MS: "100" };
const FAULT = { program: "test/support/fault_engine.ts" };

/** Records a life that begins with a worker that serves. */
async function recordServing(
  name: string,
  env: Record<string, string>,
  act: (worker: Stator) => Promise<void> | void,
): Promise<Timeline> {
  using store = makeStore("timeline");
  await using worker = await startReadyStator(store, { ...FAULT, env: { ...GRACE, ...env } });
  // One look at the records before they go.
  await until("the records", 5000, () => store.keys("v1/mdc").length > 0 && store.keys("v1/instances").length > 0);
  const timeline = await recordTimeline(name, worker, store, async (signalled) => {
    await pause(50);
    signalled();
    await act(worker);
  });
  assert.deepEqual(store.keys(), [], "the store holds nothing of the worker");
  return timeline;
}

/** The events alone, which have to be in this order whatever a capture says. */
function eventsOf(timeline: Timeline): string[] {
  return timeline.events.map((event) => event.replace(/ \S+$/, ""));
}

const WHOLE = ["start", "endpoint_record_deleted", "drain", "cleanup", "cleanup_done", "card_record_deleted"];

test("SIGTERM and SIGINT end an idle worker the same way", { timeout: 60_000 }, async () => {
  const idle = await recordServing("idle", {}, (worker) => worker.signal("SIGTERM"));
  compare(idle, "plain");
  assert.deepEqual(eventsOf(idle), WHOLE);
  const interrupted = await recordServing("idle, SIGINT", {}, (worker) => worker.signal("SIGINT"));
  compare(interrupted, "sigint");
  assert.deepEqual(essence(interrupted).map((line) => line.replace("SIGINT", "SIGTERM")), essence(idle));
});

test("a second SIGTERM forces the end, after cleanup", { timeout: 60_000 }, async () => {
  const twice = await recordServing(
    "twice",
    { DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS: "20" },
    async (worker) => {
      worker.signal("SIGTERM");
      await worker.waitFor(/Grace period/, 10_000);
      await pause(100);
      worker.signal("SIGTERM");
    },
  );
  compare(twice, "second");
  assert.deepEqual(eventsOf(twice), WHOLE);
});

test("a cleanup that hangs is cut at the deadline", { timeout: 60_000 }, async () => {
  const hung = await recordServing(
    "hung cleanup",
    { DYN_WORKER_GRACEFUL_SHUTDOWN_TIMEOUT: "2", STATOR_TEST_CLEANUP_MS: "20000" },
    (worker) => worker.signal("SIGTERM"),
  );
  compare(hung, "force");
  assert.deepEqual(eventsOf(hung), WHOLE.filter((event) => event !== "cleanup_done"));
});

test("SIGTERM during start lets the engine clean up, and nothing is registered", { timeout: 60_000 }, async () => {
  using store = makeStore("timeline");
  await using worker = await startStator(store, { ...FAULT, env: { ...GRACE, STATOR_TEST_START_MS: "1500" } });
  await worker.waitFor(/"event":"start"/, 20_000);
  const timeline = await recordTimeline("during start", worker, store, async (signalled) => {
    signalled();
    await Promise.resolve(worker.signal("SIGTERM"));
  });
  compare(timeline, "midstart");
  assert.deepEqual(eventsOf(timeline), ["start", "cleanup", "cleanup_done"]);
});

test("a start that fails is cleaned up once", { timeout: 60_000 }, async () => {
  using store = makeStore("timeline");
  const env = { ...GRACE, STATOR_TEST_START_THROWS: "Error" };
  await using worker = await startStator(store, { ...FAULT, env });
  compare(await recordTimeline("failed start", worker, store, () => Promise.resolve()), "startfail");
});

/** Longer than the grace by far: 60 tokens of 50 ms. */
const TOKENS = 60;

test("a loaded worker ends its streams before it cleans up, Dynamo's cuts them", { timeout: 120_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("timeline");
  await using frontend = await startFrontend(store);
  await using worker = await startReadyStator(store, { ...FAULT, env: GRACE });
  await frontend.listed(TINY_MODEL);
  const streams = [stream(frontend), stream(frontend)];
  const isRunning = () => eventNames(worker).filter((event) => event === "generate").length === streams.length;
  await until("the streams to run", 10_000, isRunning);
  // By then the frontend has their prologues.
  await pause(300);
  const timeline = await recordTimeline("loaded", worker, store, async (signalled) => {
    signalled();
    await Promise.resolve(worker.signal("SIGTERM"));
  });
  compare(timeline, "plain");
  assert.deepEqual(eventsOf(timeline), [
    ...["start", "generate", "generate", "endpoint_record_deleted", "generate_done", "generate_done"],
    ...["drain", "cleanup", "cleanup_done", "card_record_deleted"],
  ]);
  for (const { finishReason, error } of await Promise.all(streams)) {
    assert.deepEqual([finishReason, error], ["length", undefined]);
  }

  await until("the frontend to forget it", 20_000, async () => (await frontend.models()).length === 0);
  await using theirs = startPythonWorker(store, { model: TINY_MODEL, args: ["--delay", "0.05"], env: GRACE });
  await frontend.listed(TINY_MODEL);
  let chunks = 0;
  const cut = stream(frontend, () => chunks++);
  await until("its stream to run", 10_000, () => chunks > 3);
  theirs.signal("SIGTERM");
  const { finishReason, error } = await cut;
  console.log(`Dynamo's own worker: finish_reason ${finishReason}, error ${JSON.stringify(error)}`);
  assert.notEqual(finishReason, "length", "the reason for decision 3");
});

function stream(frontend: Frontend, onEvent: () => void = () => {}): ReturnType<Frontend["stream"]> {
  return frontend.stream(CHAT, chat(TINY_MODEL, "x", { seed: seedOf("slow"), max_tokens: TOKENS }), { onEvent });
}

test("compareLines() tells a line in another place, and explain() wants whole lines", () => {
  const lines = compareLines(["a", "b", "c"], ["b", "a", "c", "d"]);
  assert.deepEqual(lines.map(({ side, line }) => side + line), ["-a", " b", "+a", " c", "+d"]);
  const reasons: Reason[] = [{ side: "+", line: /x|d/, why: "x" }, { side: "+", line: /a/, lives: ["one"], why: "y" }];
  assert.deepEqual(unexplained(explain("one", lines, reasons)), ["-a"]);
  assert.deepEqual(unexplained(explain("two", lines, reasons)), ["-a", "+a"]);
  assert.deepEqual(unexplained(explain("one", compareLines([], ["dd"]), reasons)), ["+dd"]);
});

test("every reason explains something", () => {
  if (compared.size < 7) return console.log("not every life was recorded in this run");
  assert.deepEqual(REASONS.filter((reason) => !used.has(reason)).map(({ line }) => String(line)), []);
});
