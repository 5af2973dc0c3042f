import assert from "node:assert/strict";
import { test } from "node:test";
import type { Engine, JsonObject } from "../../src/engine/engine.ts";
import { DynamoError } from "../../src/protocol/error.ts";
import { checkControls } from "../../src/worker/controls.ts";
import { type Bench, createBench, post } from "../support/admin_bench.ts";
import { goldenText } from "../support/golden.ts";

const golden = JSON.parse(goldenText("contract/http/system_status_server.json")) as Record<
  string,
  { readonly status: number; readonly body: unknown }
>;

const LEAVING = ["sleep", "pause_generation", "release_memory_occupation"];
const RETURNING = ["wake_up", "resume_generation", "resume_memory_occupation"];

/** The engine of the captures. */
const CAPTURED: Partial<Engine> = {
  controls: {
    start_profile: (echo) => ({ status: "ok", control: "start_profile", echo }),
    sleep: () => ({ status: "ok" }),
    boom: () => {
      throw new DynamoError("InvalidArgument", "ValueError: control exploded");
    },
  },
  updates: { update_weights: () => Promise.resolve({ status: "ok", update: "update_weights" }) },
};

/** Captured rows that are a request: name, then what has to happen to the worker before it. */
const ROWS: readonly (readonly [row: string, prepare: (bench: Bench) => unknown])[] = [
  ['POST /engine/control/start_profile {"a":1}', (bench) => bench.serve()],
  ["GET /engine/control/start_profile (no body -> {})", (bench) => bench.serve()],
  ["POST /engine/control/start_profile [1]", (bench) => bench.serve()],
  ["POST /engine/control/start_profile zzz", (bench) => bench.serve()],
  ["POST /engine/control/boom (engine raises ValueError)", (bench) => bench.serve()],
  ["GET /engine/control/nope", (bench) => bench.serve()],
  ["POST /engine/control/start_profile (during shutdown)", (bench) => bench.serve().then(bench.stop)],
  ["POST /engine/control/* (before registration)", () => {}],
  ['POST /engine/update/update_weights {"path":"x"}', (bench) => bench.serve()],
  ["POST /engine/update/update_weights [1]", (bench) => bench.serve()],
  ['POST /engine/update/model_taints {"taints":["b","a","a"]}', (bench) => bench.serve()],
  ['POST /engine/update/model_taints {"taints":"x"}', (bench) => bench.serve()],
  ['POST /engine/update/model_taints {"taints":["dynamo.topology/zone=x"]}', (bench) => bench.serve()],
];

test("every captured /engine row is in the table", () => {
  const captured = Object.keys(golden).filter((row) => /^(?:GET|POST) \/engine\//.test(row));
  assert.deepEqual(captured.sort(), ROWS.map(([row]) => row).sort());
});

for (const [row, prepare] of ROWS) {
  test(`${row} is answered as captured`, async () => {
    const bench = await createBench(CAPTURED);
    await prepare(bench);
    const [, method, path, rest] = /^(\w+) (\S+) ?(.*)$/.exec(row)!;
    const body = rest === "" || rest!.startsWith("(") ? undefined : rest!;
    const init = { method: method!, ...(body === undefined ? {} : { body }) };
    const { status, body: expected } = golden[row]!;
    assert.deepEqual(await bench.ask(path!.replace("*", "sleep"), init), { status, body: expected });
  });
}

test("until the worker serves, mounted routes say that it is starting", async () => {
  const bench = await createBench(CAPTURED);
  bench.lifecycle.move("starting");
  bench.admin.mount({ model: "m", load: () => bench.load });
  const message = "engine administrative routes are unavailable while the worker is starting";
  for (const path of ["control/sleep", "update/update_weights"]) {
    assert.deepEqual(await bench.ask(`/engine/${path}`), { status: 200, body: { status: "error", message } });
  }
  assert.deepEqual(await bench.ask("/engine/update/model_taints", post({ taints: [] })), {
    status: 200,
    body: { status: "error", message },
  });
  assert.deepEqual(bench.events, []);
});

for (const name of LEAVING) {
  test(`${name} is called when the worker has left discovery and is not ready`, async () => {
    const bench = await createBench({
      controls: {
        async [name]() {
          bench.events.push(`engine ${bench.isRegistered()} ${await bench.health()}`);
          return { status: "ok" };
        },
      },
    });
    await bench.serve();
    assert.equal(await bench.health(), 200);
    assert.deepEqual(await bench.ask(`/engine/control/${name}`, post()), { status: 200, body: { status: "ok" } });
    assert.deepEqual(bench.events, ["delete v1/instances", "engine false 503"]);
    assert.equal(await bench.health(), 503);
  });

  for (const reply of [new Error("no"), { status: "error" }, { success: false }]) {
    test(`${name} that fails with ${reply instanceof Error ? "a throw" : JSON.stringify(reply)} stays out`, async () => {
      const fail = () => {
        if (reply instanceof Error) throw reply;
        return reply;
      };
      const bench = await createBench({ controls: { [name]: fail } });
      await bench.serve();
      assert.equal((await bench.ask(`/engine/control/${name}`, post())).status, reply instanceof Error ? 500 : 200);
      assert.equal(bench.isRegistered(), false);
      assert.equal(await bench.health(), 503);
    });
  }
}

/** What a resuming control may say, and whether the worker comes back then. */
const REPLIES: readonly (readonly [reply: JsonObject, comesBack: boolean])[] = [
  [{ status: "ok" }, true],
  [{}, true],
  [{ status: 1, success: true, is_sleeping: false }, true],
  [{ is_sleeping: "true" }, true],
  [{ status: "error" }, false],
  [{ status: "Error" }, false],
  [{ status: "ok", success: false }, false],
  [{ status: "ok", is_sleeping: true }, false],
];

for (const name of RETURNING) {
  for (const [reply, comesBack] of REPLIES) {
    test(`${name} that says ${JSON.stringify(reply)} brings the worker back: ${comesBack}`, async () => {
      const bench = await createBench({
        controls: { sleep: () => ({}), [name]: () => (bench.events.push("engine"), reply) },
      });
      await bench.serve();
      await bench.ask("/engine/control/sleep", post());
      bench.events.length = 0;
      assert.deepEqual(await bench.ask(`/engine/control/${name}`, post()), { status: 200, body: reply });
      assert.deepEqual(bench.events, comesBack ? ["engine", "put v1/instances"] : ["engine"]);
      assert.equal(bench.isRegistered(), comesBack);
      assert.equal(await bench.health(), comesBack ? 200 : 503);
    });
  }
}

test("a resuming control that throws leaves the worker out; the next one brings it back", async () => {
  let calls = 0;
  const wake_up = () => {
    if (calls++ === 0) throw new Error("not yet");
    return {};
  };
  const bench = await createBench({ controls: { sleep: () => ({}), wake_up } });
  await bench.serve();
  await bench.ask("/engine/control/sleep", post());
  const body = { error: "Handler error", message: "Internal: Error: not yet" };
  assert.deepEqual(await bench.ask("/engine/control/wake_up", post()), { status: 500, body });
  assert.equal(bench.isRegistered(), false);
  await bench.ask("/engine/control/wake_up", post());
  assert.equal(bench.isRegistered(), true);
});

test("any other control and every update leave discovery alone, whatever they say", async () => {
  const fails = () => ({ status: "error" });
  const bench = await createBench({
    controls: { start_profile: fails, stop_profile: fails },
    updates: { sleep: fails, wake_up: fails },
  });
  await bench.serve();
  for (const path of ["control/start_profile", "control/stop_profile", "update/sleep", "update/wake_up"]) {
    assert.deepEqual(await bench.ask(`/engine/${path}`, post()), { status: 200, body: { status: "error" } });
  }
  assert.deepEqual(bench.events, []);
  assert.equal(await bench.health(), 200);
});

test("a control does not reach the engine when the record cannot be deleted; the worker stays ready", async () => {
  const bench = await createBench({ controls: { sleep: () => (bench.events.push("engine"), {}) } });
  await bench.serve();
  bench.broken.add("v1/instances");
  const message = "failed to unregister endpoint before /engine/control/sleep: the store is gone";
  assert.deepEqual(await bench.ask("/engine/control/sleep", post()), {
    status: 200,
    body: { status: "error", message },
  });
  assert.deepEqual(bench.events, []);
  assert.equal(await bench.health(), 200);
});

test("a worker that cannot be registered again is not ready, and is by the next wake_up", async () => {
  const bench = await createBench({ controls: { sleep: () => ({}), wake_up: () => ({}) } });
  await bench.serve();
  await bench.ask("/engine/control/sleep", post());
  bench.broken.add("v1/instances");
  const { status, body } = await bench.ask("/engine/control/wake_up", post());
  assert.equal(status, 200);
  assert.match((body as { message: string }).message, /^engine resumed but re-registration failed .*the store is gone/);
  assert.equal(await bench.health(), 503);
  bench.broken.clear();
  await bench.ask("/engine/control/wake_up", post());
  assert.equal(await bench.health(), 200);
  assert.equal(bench.isRegistered(), true);
});

for (const error of [new DynamoError("InvalidArgument", "level must be 1"), new RangeError("level")]) {
  test(`validateControl() that throws ${error.name} refuses before anything happens`, async () => {
    const seen: unknown[] = [];
    const bench = await createBench({
      controls: { sleep: () => (seen.push("called"), {}) },
      validateControl(name, body) {
        seen.push(name, body);
        throw error;
      },
    });
    await bench.serve();
    const message = error instanceof DynamoError ? "InvalidRequest: level must be 1" : "Internal: RangeError: level";
    assert.deepEqual(await bench.ask("/engine/control/sleep", post({ level: 2 })), {
      status: 200,
      body: { status: "error", message },
    });
    assert.deepEqual(seen, ["sleep", { level: 2 }]);
    assert.equal(bench.isRegistered(), true);
  });
}

for (const reply of [undefined, [1], "text", { circle: {} as { self?: unknown } }]) {
  test(`a reply that is no JSON object is a failure: ${typeof reply}`, async () => {
    if (typeof reply === "object" && "circle" in reply) reply.circle.self = reply.circle;
    const bench = await createBench({ controls: { sleep: () => ({}), wake_up: () => reply as unknown as JsonObject } });
    await bench.serve();
    await bench.ask("/engine/control/sleep", post());
    assert.equal((await bench.ask("/engine/control/wake_up", post())).status, 500);
    assert.equal(bench.isRegistered(), false);
  });
}

test("integers of 64 bits go through a control both ways", async () => {
  let seen: unknown;
  const bench = await createBench({ controls: { tag: (body) => (seen = body.id, {}) } });
  await bench.serve();
  await bench.ask("/engine/control/tag", { method: "POST", body: '{"id":18446744073709551615}' });
  assert.equal(seen, 18446744073709551615n);
});

test("names that every object has are no routes", async () => {
  const bench = await createBench({ controls: {} });
  await bench.serve();
  for (const name of ["constructor", "__proto__", "toString"]) {
    assert.equal((await bench.ask(`/engine/control/${name}`, post())).status, 404);
  }
});

test("checkControls() refuses names that cannot be, and the reserved one", () => {
  const check = (members: Partial<Engine>) => () => checkControls(members as Engine);
  const call = () => ({});
  check({})();
  check({ controls: { "a.b-c_1": call, model_taints: call }, updates: { x: call } })();
  for (const name of ["", "a/b", "a b", "ü", "a?"]) {
    assert.throws(check({ controls: { [name]: call } }), { kind: "InvalidArgument" }, name);
    assert.throws(check({ updates: { [name]: call } }), { kind: "InvalidArgument" }, name);
  }
  assert.throws(check({ updates: { model_taints: call } }), {
    kind: "InvalidArgument",
    message: "engine update 'model_taints' conflicts with reserved Dynamo route /engine/update/model_taints",
  });
  assert.throws(
    check({ controls: { sleep: true as unknown as typeof call } }),
    /engine control 'sleep' is not a function/,
  );
});

test("an update that is reserved keeps the worker from being made", async () => {
  await assert.rejects(createBench({ updates: { model_taints: () => ({}) } }), { kind: "InvalidArgument" });
});

test("model_taints rewrites the card and nothing else; an empty set takes them off", async () => {
  const bench = await createBench();
  await bench.serve();
  await bench.ask("/engine/update/model_taints", post({ taints: ["b", "a"] }));
  assert.deepEqual(bench.taints(), ["a", "b"]);
  await bench.ask("/engine/update/model_taints", post({ taints: [] }));
  assert.equal(bench.taints(), undefined);
  assert.deepEqual(bench.events, ["put v1/mdc", "put v1/mdc"]);
  assert.equal(await bench.health(), 200);
});

test("model_taints that the store refuses is a failure, and the card is what it was", async () => {
  const bench = await createBench();
  await bench.serve();
  await bench.ask("/engine/update/model_taints", post({ taints: ["a"] }));
  bench.broken.add("v1/mdc");
  const body = { error: "Handler error", message: "the store is gone" };
  assert.deepEqual(await bench.ask("/engine/update/model_taints", post({ taints: ["b"] })), { status: 500, body });
  assert.deepEqual(bench.taints(), ["a"]);
});
