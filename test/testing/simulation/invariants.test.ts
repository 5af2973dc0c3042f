/** Each invariant finds a history that breaks it, and says nothing about one that does not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EventFacts, EventKind, SimulationEvent } from "../../../src/testing/simulation/history.ts";
import { violations } from "../../../src/testing/simulation/invariants.ts";
import type { Life } from "../../../src/testing/simulation/life.ts";
import { drawLife } from "../../../src/testing/simulation/draw_life.ts";
import { type ClientKind, type RequestPlan, SIMULATION_FAULTS } from "../../../src/testing/simulation/life_plan.ts";
import { SeededRandom } from "../../../src/testing/simulation/seeded_random.ts";
import { resolveOptions } from "../../../src/worker/resolve_options.ts";

type Line = readonly [at: number, who: string, what: EventKind, facts?: EventFacts];

/** A life with one request and an end in order. */
const GOOD: readonly Line[] = [
  [0, "world", "begin"],
  [0, "engine", "start"],
  [5, "engine", "started"],
  [5, "store", "published", { detail: "card" }],
  [5, "store", "published", { detail: "endpoint" }],
  [6, "worker", "probe", { detail: "ready: timers", number: 1 }],
  [10, "frontend-1", "sent", { id: "r1" }],
  [11, "engine", "generate", { id: "r1" }],
  [12, "frontend-1", "accepted", { id: "r1" }],
  [12, "frontend-1", "called", { id: "r1" }],
  [13, "frontend-1", "prologue", { id: "r1" }],
  [14, "engine", "yield", { id: "r1", tokens: [1, 2] }],
  [15, "frontend-1", "item", { id: "r1", tokens: [1, 2] }],
  [16, "engine", "yield", { id: "r1", tokens: [3], detail: "stop" }],
  [16, "engine", "finally", { id: "r1" }],
  [16, "worker", "finished", { id: "r1" }],
  [17, "frontend-1", "item", { id: "r1", tokens: [3], detail: "stop" }],
  [17, "frontend-1", "final", { id: "r1" }],
  [17, "frontend-1", "sentinel", { id: "r1" }],
  [18, "worker", "closed", { id: "r1" }],
  [60_000, "worker", "probe", { detail: "idle: timers", number: 1 }],
  [60_000, "world", "signal", { detail: "SIGTERM" }],
  [60_001, "store", "withdrawn", { detail: "endpoint" }],
  [60_002, "engine", "drain"],
  [60_002, "engine", "drained"],
  [60_003, "engine", "cleanup"],
  [60_003, "engine", "cleaned up"],
  [60_004, "store", "withdrawn", { detail: "card" }],
  [60_005, "world", "exit", { number: 0 }],
  [60_006, "worker", "probe", { detail: "exit: timers", number: 0 }],
];

interface Change {
  /** Kinds of events that did not happen. */
  readonly without?: readonly EventKind[];
  readonly plus?: readonly Line[];
  readonly client?: ClientKind;
}

/** What is found in the good life with a change. */
function found({ without = [], plus = [], client = "patient" }: Change = {}): string[] {
  const drawn = drawLife(new SeededRandom(1), new Set(SIMULATION_FAULTS));
  const request: RequestPlan = {
    id: "r1",
    frontend: 0,
    atMs: 0,
    codec: "json",
    prompt: [1],
    maxTokens: 3,
    client: { kind: client, afterItems: 0, ms: 1 },
    stream: { kind: "none", afterChunks: 0, ms: 0 },
  };
  const events = [...GOOD.filter(([, , what]) => !without.includes(what)), ...plus]
    .sort(([a], [b]) => a - b)
    .map(([at, who, what, facts]): SimulationEvent => ({ at, who, what, ...facts }));
  const life: Life = {
    seed: 1,
    plan: { ...drawn, requests: [request] },
    options: resolveOptions({ shutdownTimeoutSeconds: 15 }, {}),
    events,
  };
  return violations(life).map(({ invariant, message }) => `${invariant}: ${message}`);
}

test("nothing is found in a life in order", () => {
  assert.deepEqual(found(), []);
});

const CASES: readonly (readonly [name: string, change: Change, expected: RegExp])[] = [
  ["two ends", { plus: [[17.5, "frontend-1", "error", { id: "r1", detail: "x" }]] }, /^I1: it ended 2 times/],
  ["no end", { without: ["item", "final", "sentinel"] }, /^I1: it was accepted and never came to its end/],
  ["no sentinel", { without: ["sentinel"] }, /^I1: it was accepted and never came to its end/],
  ["no acknowledgement", { without: ["accepted"] }, /^I1: it was never acknowledged/],
  [
    "a refusal of what runs",
    { without: ["accepted"], plus: [[12, "frontend-1", "refused", { id: "r1" }]] },
    /^I1: it was refused and/,
  ],
  [
    "a malformed answer",
    { plus: [[17.5, "frontend-1", "malformed", { id: "r1", detail: "x" }]] },
    /^I1: its answer is malformed: x/,
  ],
  [
    "an answer cut short for nothing",
    { without: ["item"], plus: [[15, "frontend-1", "error", { id: "r1", detail: "backend.engine_shutdown" }]] },
    /^I1: it was cut short at 15.0/,
  ],
  [
    "a lost token",
    { without: ["item"], plus: [[17, "frontend-1", "item", { id: "r1", tokens: [1, 3], detail: "stop" }]] },
    /^I2: token 2 is 3, but the engine said 2/,
  ],
  [
    "a lost end",
    { without: ["item"], plus: [[17, "frontend-1", "item", { id: "r1", tokens: [1], detail: "stop" }]] },
    /^I2: it ended after 1 of 3 tokens/,
  ],
  ["a token after the end", { plus: [[17.5, "frontend-1", "item", { id: "r1", tokens: [3] }]] }, /^I2: token 4 is 3/],
  [
    "another end than the engine's",
    { without: ["item"], plus: [[17, "frontend-1", "item", { id: "r1", tokens: [1, 2, 3], detail: "length" }]] },
    /^I2: it ended with length, but the engine said stop/,
  ],
  [
    "a kill that nobody heard",
    {
      client: "kill",
      without: ["item", "final", "sentinel", "finished", "finally"],
      plus: [[13, "worker", "told", { id: "r1", detail: "kill" }], [5000, "engine", "finally", { id: "r1" }]],
    },
    /^I3: it was known dead at 13.0, but the engine was not told/,
  ],
  [
    "two aborts",
    { plus: [[13, "engine", "abort", { id: "r1" }], [13, "engine", "abort", { id: "r1" }]] },
    /^I3: abort\(\) was called 2 times/,
  ],
  ["an engine that works for nobody", { client: "refuse" }, /^I3: the engine was called although/],
  ["an open stream", { without: ["finally"] }, /^I4: its stream was still open when the worker was gone/],
  [
    "an open connection",
    { plus: [[60_000, "worker", "probe", { id: "r1", detail: "idle: response connection" }]] },
    /^I4: its connection was left open/,
  ],
  [
    "a timer",
    { plus: [[59_999, "worker", "probe", { detail: "idle: timers", number: 2 }]] },
    /^I4: 2 timers were left/,
  ],
  [
    "a record too early",
    { plus: [[1, "store", "published", { detail: "endpoint" }], [2, "store", "withdrawn", { detail: "endpoint" }]] },
    /^I5: it was registered before/,
  ],
  [
    "a refusal of a registered worker",
    {
      without: [
        "accepted",
        "called",
        "generate",
        "yield",
        "finally",
        "prologue",
        "item",
        "final",
        "sentinel",
        "finished",
      ],
      plus: [[12, "frontend-1", "refused", { id: "r1", detail: "Server unavailable: x" }]],
    },
    /^I5: it was refused while the worker was registered/,
  ],
  ["records that stay", { without: ["withdrawn"] }, /^I5: its endpoint was left behind/],
  [
    "a record that goes away",
    {
      plus: [[100, "store", "withdrawn", { detail: "endpoint" }], [20_000, "store", "published", {
        detail: "endpoint",
      }]],
    },
    /^I5: it was not registered for longer than a lease lives/,
  ],
  ["no cleanup", { without: ["cleanup", "cleaned up"] }, /^I6: cleanup\(\) was called 0 times for 1 starts/],
  ["two cleanups", { plus: [[60_004, "engine", "cleanup"]] }, /^I6: cleanup\(\) was called 2 times/],
  ["a cleanup before drain", { plus: [[60_001.5, "engine", "cleanup"]] }, /^I6: .*after cleanup/],
  [
    "a cleanup before the last stream",
    { without: ["finally"], plus: [[60_004, "engine", "finally", { id: "r1" }]] },
    /^I6: cleanup\(\) was called while its stream was running/,
  ],
  [
    "a wrong code",
    { without: ["exit"], plus: [[60_005, "world", "exit", { number: 3 }]] },
    /^I7: its exit code is 3, but should be 0/,
  ],
  ["no exit", { without: ["exit"] }, /^I7: it never exited/],
  ["a late exit", { without: ["exit"], plus: [[99_000, "world", "exit", { number: 0 }]] }, /^I7: it exited at 99000.0/],
  [
    "something left when the worker is gone",
    { plus: [[60_006, "worker", "probe", { detail: "exit: connections", number: 2 }]] },
    /^I8: 2 connections were left/,
  ],
];

for (const [name, change, expected] of CASES) {
  test(`${name}: found`, () => {
    const all = found(change);
    assert.ok(all.some((message) => expected.test(message)), all.join("\n") || "nothing was found");
  });
}
