/**
 * The health canary in a whole worker behind Dynamo's own frontend, beside Dynamo's own worker.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Maker, startControlWorker, visibility } from "../support/control_worker.ts";
import { startFrontend } from "../support/frontend.ts";
import { DYNAMO_ALONE, notTwice, requirePeers, TINY_MODEL } from "../support/peers.ts";
import { recorded, RECORDING_WORKER } from "../support/recorded.ts";
import { startReadyStator } from "../support/stator.ts";
import { until } from "../support/processes.ts";
import { makeStore } from "../support/store.ts";

const CANARY = {
  DYN_HEALTH_CHECK_ENABLED: "true",
  DYN_CANARY_WAIT_TIME: "1",
  DYN_HEALTH_CHECK_REQUEST_TIMEOUT: "1",
};

/** Dynamo serves both routes from one handler; here `/live` says only that the process is alive. */
const LIVE_WHILE_RED: Readonly<Record<Maker, number>> = { stator: 200, dynamo: 503 };

for (const maker of ["stator", "dynamo"] as const satisfies readonly Maker[]) {
  const skip = maker === "dynamo" && notTwice(DYNAMO_ALONE);
  test(`a ${maker} worker whose probes fail turns red, stays and recovers`, { timeout: 180_000, skip }, async (t) => {
    if (!requirePeers(t)) return;
    using store = makeStore(`canary-${maker}`);
    await using frontend = await startFrontend(store);
    await using worker = await startControlWorker(maker, store, CANARY);
    await frontend.listed(TINY_MODEL);
    const health = (status: number) =>
      until(`/health to be ${status}`, 30_000, async () => await worker.status("/health") === status);
    await health(200);
    for (const probe of ["throw", "hang"]) {
      await t.test(`probes that ${probe}`, async () => {
        await worker.post("control/set", { probe });
        await health(503);
        assert.equal(await worker.status("/live"), LIVE_WHILE_RED[maker]);
        assert.deepEqual(await visibility(frontend, store), { isListed: true, isRecorded: true, chat: 200 });
        // What was served made it ready; the next probe fails again.
        await health(503);
        await worker.post("control/set", {});
        await health(200);
        assert.equal(await worker.status("/live"), 200);
      });
    }
  });
}

const FROM_VARIABLE = { DYN_HEALTH_CHECK_PAYLOAD: '{"token_ids":[2]}' };

/** Who says what is asked, and the token that it says. */
const PAYLOADS: readonly (readonly [who: string, env: Record<string, string>, args: string[], token: number])[] = [
  ["the engine", {}, [], 1],
  ["the variable", FROM_VARIABLE, [], 2],
  ["the flag, before the variable", FROM_VARIABLE, ["--health-check-payload", '{"token_ids":[3]}'], 3],
];

for (const [who, env, args, token] of PAYLOADS) {
  test(`the canary asks what ${who} says`, { timeout: 60_000 }, async () => {
    using store = makeStore("canary-payload");
    await using worker = await startReadyStator(store, { program: RECORDING_WORKER, args, env: { ...CANARY, ...env } });
    await until("a probe", 30_000, () => recorded(worker).length > 0);
    const [{ request } = assert.fail("no request was recorded")] = recorded(worker);
    assert.deepEqual([[...request.token_ids], request._HEALTH_CHECK], [[token], true]);
  });
}
