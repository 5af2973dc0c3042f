/**
 * What a worker logs of a whole life with one good request and one that is given up, at the levels that `DYN_LOG` asks
 * for.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventNames } from "../support/fault_events.ts";
import { seedOf } from "../support/fault_scenarios.ts";
import { CHAT, chat, type Frontend, startFrontend } from "../support/frontend.ts";
import { requirePeers, TINY_MODEL } from "../support/peers.ts";
import { until } from "../support/processes.ts";
import { startStator } from "../support/stator.ts";
import { makeStore, type Store } from "../support/store.ts";

interface Line {
  readonly level: string;
  readonly target: string;
  /** With the fields behind it. */
  readonly message: string;
}

interface Life {
  readonly lines: readonly Line[];
  /** The request that was answered, as its client knows it. */
  readonly requestId: string;
}

/** A trace as a client begins it. */
const TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736";
const X_REQUEST_ID = "my-req-1";

const ABORTED = { level: "DEBUG", target: "stator::pipeline" };

test("DYN_LOG decides what a worker tells of its life, RUST_LOG does not", { timeout: 120_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("logging");
  // A frontend that neither exports traces nor logs JSON sends workers no trace.
  await using frontend = await startFrontend(store, { DYN_LOGGING_JSONL: "1" });

  await t.test("info, as by default: milestones, and nothing else", async () => {
    const { lines } = await logOf(frontend, store, { DYN_LOG: "", RUST_LOG: "trace" });
    assert.deepEqual(new Set(lines.map(({ level }) => level)), new Set(["INFO"]));
    const told = lines.map(({ message }) => message);
    for (const milestone of ["Registered", "Serving", "SIGTERM received", "Readiness", "Engine cleanup complete"]) {
      assert.ok(told.some((message) => message.startsWith(milestone)), `${milestone} in ${told.join("; ")}`);
    }
  });
  await t.test("debug: requests too, and what the engine says of them with the ids of the frontend", async () => {
    const { lines, requestId } = await logOf(frontend, store, { DYN_LOG: "debug" });
    const aborted = lines.filter(({ message }) => message.startsWith("Request aborted"));
    assert.deepEqual(aborted.map(({ level, target }) => ({ level, target })), [ABORTED]);
    assert.ok(lines.some(({ level, target }) => level === "DEBUG" && target === "stator::worker"));
    const engine = lines.filter(({ target }) => target === "stator::engine");
    assert.deepEqual(new Set(engine.map(({ level }) => level)), new Set(["DEBUG"]));
    const trace = `trace_id=${TRACE_ID} parent_id=[0-9a-f]{16} x_request_id=${X_REQUEST_ID}`;
    const ids = new RegExp(` request_id=${requestId} ${trace}$`);
    assert.ok(engine.some(({ message }) => ids.test(message)), `${ids} in ${engine.map(({ message }) => message)}`);
  });
  await t.test("debug of one target only", async () => {
    const { lines } = await logOf(frontend, store, { DYN_LOG: "info,stator::pipeline=debug" });
    const fine = lines.filter(({ level }) => level === "DEBUG");
    assert.deepEqual(new Set(fine.map(({ target }) => target)), new Set(["stator::pipeline"]));
    assert.ok(fine.some(({ message }) => message.startsWith("Request aborted")));
    assert.ok(lines.some(({ message }) => message.startsWith("Serving")));
  });
  await t.test("error: nothing, since nothing went wrong", async () => {
    assert.deepEqual((await logOf(frontend, store, { DYN_LOG: "error" })).lines, []);
  });
});

/** The log of a worker that answers one request, loses the client of another, and is stopped. */
async function logOf(frontend: Frontend, store: Store, env: Record<string, string>): Promise<Life> {
  const program = "test/support/fault_engine.ts";
  // Listed is ready; with DYN_LOG=error no line says so.
  await using worker = await startStator(store, { program, env });
  await frontend.listed(TINY_MODEL);
  const response = await fetch(frontend.url + CHAT, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-request-id": X_REQUEST_ID,
      traceparent: `00-${TRACE_ID}-00f067aa0ba902b7-01`,
    },
    body: JSON.stringify(chat(TINY_MODEL, "x", { seed: seedOf("finish stop") })),
  });
  assert.equal(response.status, 200);
  const requestId = (await response.json()).id.replace("chatcmpl-", "");
  const client = new AbortController();
  const body = chat(TINY_MODEL, "x", { seed: seedOf("slow"), max_tokens: 400 });
  const onEvent = () => client.abort();
  await assert.rejects(frontend.stream(CHAT, body, { signal: client.signal, onEvent }), { name: "AbortError" });
  await until("the abort", 10_000, () => eventNames(worker).includes("abort"));
  worker.signal("SIGTERM");
  assert.deepEqual(await worker.exit(30_000), { code: 0, signal: null });
  await until("the frontend to forget the worker", 10_000, async () => (await frontend.models()).length === 0);
  const lines = worker.output().split("\n").flatMap((text) => {
    const [, level = "", target = "", message = ""] = /^\d{4}-\S+ +([A-Z]+) ([\w:]+): (.*)$/.exec(text) ?? [];
    return level === "" ? [] : [{ level, target, message }];
  });
  return { lines, requestId };
}
