/**
 * A worker whose process fails, behind Dynamo's own frontend with a second worker beside it.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CHAT, chat, startFrontend } from "../support/frontend.ts";
import { requirePeers, TINY_MODEL } from "../support/peers.ts";
import { freePort, until } from "../support/processes.ts";
import { startReadyStator } from "../support/stator.ts";
import { makeStore } from "../support/store.ts";

const STREAMS = 8;
const TOKENS = 100;

for (const how of ["throw", "reject"]) {
  test(`clients see whole streams when one of two workers fails (${how})`, { timeout: 120_000 }, async (t) => {
    if (!requirePeers(t)) return;
    using store = makeStore(`fault-${how}`);
    await using frontend = await startFrontend(store, {}, ["--migration-limit", "3"]);
    const ports = [await freePort(), await freePort()];
    const begin = (port: number) =>
      startReadyStator(store, {
        program: "test/support/counting_engine.ts",
        env: { DYN_SYSTEM_PORT: String(port), DYN_SYSTEM_HOST: "127.0.0.1", COUNTING_MODEL: TINY_MODEL },
      });
    await using failing = await begin(ports[0]!);
    await using _healthy = await begin(ports[1]!);
    await frontend.listed(TINY_MODEL);
    const body = chat(TINY_MODEL, "count", { max_tokens: TOKENS });
    const whole = await frontend.stream(CHAT, body);
    assert.equal(whole.text.length, TOKENS, whole.text);

    const statusOf = async (port: number) => await (await fetch(`http://127.0.0.1:${port}/engine/status`)).json();
    const streams = Array.from({ length: STREAMS }, () => frontend.stream(CHAT, body));
    await until(
      "both to work",
      10_000,
      async () => (await Promise.all(ports.map(statusOf))).every(({ in_flight }) => in_flight > 0),
    );
    const { in_flight } = await statusOf(ports[0]!);
    await fetch(`http://127.0.0.1:${ports[0]}/engine/update/fail`, { method: "POST", body: JSON.stringify({ how }) });

    const { code } = await failing.exit(20_000);
    assert.equal(code, 4, failing.output());
    const ends = await Promise.all(streams);
    for (const { error, text, finishReason, done } of ends) {
      assert.deepEqual({ error, text, finishReason, done }, {
        error: undefined,
        text: whole.text,
        finishReason: "length",
        done: true,
      });
    }
    const output = failing.output();
    const order = ["The process failed", "Readiness withdrawn", "Phase 1", "Phase 2", "cleaned up", "Phase 3"];
    const at = order.map((line) => output.indexOf(line));
    assert.ok(at.every((place) => place >= 0), output);
    console.log(`${in_flight} of ${STREAMS} streams moved to the other worker; exit code ${code}`);
  });
}
