/**
 * Engine controls and updates through Dynamo's own frontend: every step has the same effect as on Dynamo's own worker.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type ControlWorker,
  type Maker,
  type Reply,
  startControlWorker,
  visibility,
} from "../support/control_worker.ts";
import { type Frontend, startFrontend } from "../support/frontend.ts";
import { DYNAMO_ALONE, notTwice, requirePeers, TINY_MODEL } from "../support/peers.ts";
import { until } from "../support/processes.ts";
import { makeStore, type Store } from "../support/store.ts";

const SERVING = { isListed: true, isRecorded: true, chat: 200, health: 200 };
const HIDDEN = { isListed: false, isRecorded: false, chat: 503, health: 503 };
const OK = { status: 200, body: { status: "ok" } };

/** A call, what it is answered, and what clients see then. */
interface Step {
  readonly manner?: Record<string, string>;
  readonly path: string;
  readonly body?: unknown;
  readonly reply: Reply;
  /** What Dynamo's own worker answers instead. */
  readonly theirs?: Reply;
  readonly then: typeof SERVING;
}

/** Dynamo's worker fails to delete a record that is gone from a file store; for ours, gone is what was asked for. */
const SECOND_SLEEP = {
  status: 200,
  body: {
    status: "error",
    message: "failed to unregister endpoint before /engine/control/sleep: Unable to unregister endpoint instance " +
      "from discovery. Check discovery service status",
  },
};

const STEPS: readonly Step[] = [
  { path: "control/start_profile", reply: OK, then: SERVING },
  { path: "control/sleep", reply: OK, then: HIDDEN },
  { path: "control/sleep", reply: OK, theirs: SECOND_SLEEP, then: HIDDEN },
  { path: "control/wake_up", reply: OK, then: SERVING },
  {
    manner: { sleep: "throw" },
    path: "control/sleep",
    reply: { status: 500, body: { error: "Handler error", message: "Internal: sleep failed" } },
    then: HIDDEN,
  },
  { path: "control/wake_up", reply: OK, then: SERVING },
  {
    manner: { sleep: "error" },
    path: "control/sleep",
    reply: { status: 200, body: { status: "error", message: "sleep is not possible" } },
    then: HIDDEN,
  },
  {
    manner: { wake_up: "throw" },
    path: "control/wake_up",
    reply: { status: 500, body: { error: "Handler error", message: "Internal: wake_up failed" } },
    then: HIDDEN,
  },
  {
    manner: { wake_up: "error" },
    path: "control/wake_up",
    reply: { status: 200, body: { status: "error", message: "wake_up is not possible" } },
    then: HIDDEN,
  },
  {
    manner: { wake_up: "asleep" },
    path: "control/wake_up",
    reply: { status: 200, body: { status: "ok", is_sleeping: true } },
    then: HIDDEN,
  },
  { manner: {}, path: "control/wake_up", reply: OK, then: SERVING },
  {
    path: "update/update_weights",
    body: { path: "x", version: 7 },
    reply: { status: 200, body: { status: "ok", loaded: { path: "x", version: 7 } } },
    then: SERVING,
  },
  {
    path: "update/model_taints",
    body: { taints: ["b", "a", "a"] },
    reply: { status: 200, body: { status: "ok", taints: ["a", "b"] } },
    then: SERVING,
  },
];

for (const maker of ["stator", "dynamo"] as const satisfies readonly Maker[]) {
  const skip = maker === "dynamo" && notTwice(DYNAMO_ALONE);
  test(
    `sleep hides a ${maker} worker, wake_up brings it back, updates leave it`,
    { timeout: 180_000, skip },
    async (t) => {
      if (!requirePeers(t)) return;
      using store = makeStore(`controls-${maker}`);
      await using frontend = await startFrontend(store);
      await using worker = await startControlWorker(maker, store);
      await frontend.listed(TINY_MODEL);
      await settled(frontend, store, worker, SERVING);
      assert.doesNotMatch(cardOf(store), /"taints":\["/);
      for (const { manner, path, body, reply, theirs, then } of STEPS) {
        if (manner !== undefined) assert.deepEqual(await worker.post("control/set", manner), OK);
        assert.deepEqual(await worker.post(path, body), maker === "dynamo" ? theirs ?? reply : reply, path);
        await settled(frontend, store, worker, then);
      }
      assert.match(cardOf(store), /"taints":\["a","b"\]/, "the published record has them");
    },
  );
}

/** The frontend follows the store at its own pace. */
async function settled(frontend: Frontend, store: Store, worker: ControlWorker, then: typeof SERVING): Promise<void> {
  const look = async () => ({ ...await visibility(frontend, store), health: await worker.status("/health") });
  const isThere = async () => JSON.stringify(await look()) === JSON.stringify(then);
  await until("the frontend to follow", 20_000, isThere).catch(async () => assert.deepEqual(await look(), then));
}

function cardOf(store: Store): string {
  return store.records().find(({ key }) => key.startsWith("v1/mdc"))?.text ?? "";
}
