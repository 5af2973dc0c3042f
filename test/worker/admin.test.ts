import assert from "node:assert/strict";
import { test } from "node:test";
import { createBench, post } from "../support/admin_bench.ts";

const SERVING = {
  state: "ready",
  drained: false,
  in_flight: 0,
  queued: 0,
  oldest_request_seconds: null,
  instance_id: "feed000000000001",
  endpoint: "dynamo/sample/generate",
  model: "m",
  uptime_seconds: 0,
};

test("GET /engine/status tells at any time where the worker is", async () => {
  const bench = await createBench();
  const state = async () => ((await bench.ask("/engine/status")).body as { state: string }).state;
  assert.deepEqual(await bench.ask("/engine/status"), {
    status: 200,
    body: { ...SERVING, state: "init", model: null },
  });
  bench.lifecycle.move("starting");
  assert.equal(await state(), "starting");
  await bench.serve();
  await bench.clock.advance(12_345);
  bench.load = { active: 2, queued: 1, oldestAt: 10_000 };
  assert.deepEqual(await bench.ask("/engine/status"), {
    status: 200,
    body: { ...SERVING, in_flight: 2, queued: 1, oldest_request_seconds: 2.345, uptime_seconds: 12.345 },
  });
  bench.stop();
  bench.lifecycle.move("stopping");
  assert.equal(await state(), "stopping");
});

test("drain leaves discovery and readiness, then waits for requests and the grace; resume brings all back", async () => {
  const bench = await createBench({}, { graceSeconds: 5 });
  await bench.serve();
  bench.load = { active: 1, queued: 0, oldestAt: 0 };
  const asOf = (state: string, drained: boolean, rest = {}) => ({ ...SERVING, state, drained, ...rest });
  const busy = { in_flight: 1, oldest_request_seconds: 0 };
  assert.deepEqual(await bench.ask("/engine/drain", post()), {
    status: 200,
    body: { status: "ok", ...asOf("draining", false, busy) },
  });
  assert.deepEqual(bench.events, ["delete v1/instances"]);
  assert.equal(await bench.health(), 503);
  const status = async () => (await bench.ask("/engine/status")).body;
  await bench.clock.advance(6000);
  const late = { uptime_seconds: 6 };
  assert.deepEqual(await status(), asOf("draining", false, { ...busy, ...late, oldest_request_seconds: 6 }));
  bench.load = { active: 0, queued: 0, oldestAt: null };
  assert.deepEqual(await status(), asOf("drained", true, late));
  assert.deepEqual(await bench.ask("/engine/resume", post()), {
    status: 200,
    body: { status: "ok", ...SERVING, ...late },
  });
  assert.deepEqual(bench.events, ["delete v1/instances", "put v1/instances"]);
  assert.equal(await bench.health(), 200);
});

test("an idle worker counts as drained after the grace only: requests may be on their way", async () => {
  const bench = await createBench({}, { graceSeconds: 5 });
  await bench.serve();
  await bench.ask("/engine/drain", post());
  const drained = async () => ((await bench.ask("/engine/status")).body as { drained: boolean }).drained;
  await bench.clock.advance(4999);
  assert.equal(await drained(), false);
  await bench.clock.advance(1);
  assert.equal(await drained(), true);
  bench.load = { active: 0, queued: 1, oldestAt: 5000 };
  assert.equal(await drained(), false);
});

test("drain and resume said twice change nothing the second time", async () => {
  const bench = await createBench();
  await bench.serve();
  assert.equal((await bench.ask("/engine/resume", post())).status, 200);
  assert.deepEqual(bench.events, []);
  for (const verb of ["drain", "drain", "resume", "resume"]) {
    assert.equal((await bench.ask(`/engine/${verb}`, post())).status, 200);
  }
  assert.deepEqual(bench.events, ["delete v1/instances", "put v1/instances"]);
});

test("drain and resume are refused while the worker starts or shuts down", async () => {
  const bench = await createBench();
  const refused = async (state: string) => {
    const message = `engine administrative routes are unavailable while the worker is ${state}`;
    for (const verb of ["drain", "resume"]) {
      assert.deepEqual(await bench.ask(`/engine/${verb}`, post()), { status: 409, body: { status: "error", message } });
    }
  };
  await refused("starting");
  await bench.serve();
  bench.stop();
  await refused("shutting down");
  assert.deepEqual(bench.events, []);
});

test("drain and resume take POST only, status GET only", async () => {
  const bench = await createBench();
  await bench.serve();
  for (
    const [path, method, right] of [["drain", "GET", "POST"], ["resume", "PUT", "POST"], ["status", "POST", "GET"]]
  ) {
    assert.deepEqual(await bench.ask(`/engine/${path}`, { method: method! }), {
      status: 405,
      body: { error: "Method not allowed", message: `/engine/${path} takes ${right} only` },
    });
  }
  assert.deepEqual(bench.events, []);
});

for (const [verb, health] of [["drain", 200], ["resume", 503]] as const) {
  test(`${verb} that discovery does not follow is a failure, and nothing has changed`, async () => {
    const bench = await createBench();
    await bench.serve();
    if (verb === "resume") await bench.ask("/engine/drain", post());
    bench.broken.add("v1/instances");
    assert.deepEqual(await bench.ask(`/engine/${verb}`, post()), {
      status: 500,
      body: { status: "error", message: "discovery could not be told, try again: the store is gone" },
    });
    assert.equal(await bench.health(), health);
    bench.broken.clear();
    assert.equal((await bench.ask(`/engine/${verb}`, post())).status, 200);
    assert.equal(bench.isRegistered(), verb === "resume");
  });
}

test("a sleeping engine is not resumed, only woken up", async () => {
  const bench = await createBench({ controls: { sleep: () => ({}), wake_up: () => ({}) } });
  await bench.serve();
  await bench.ask("/engine/control/sleep", post());
  assert.equal(((await bench.ask("/engine/status")).body as { state: string }).state, "asleep");
  const message = "the engine is asleep: use the engine control that wakes it up, such as wake_up";
  assert.deepEqual(await bench.ask("/engine/resume", post()), { status: 409, body: { status: "error", message } });
  assert.equal(bench.isRegistered(), false);
});

test("an engine that wakes up does not bring a drained worker back; resume does", async () => {
  const bench = await createBench({ controls: { sleep: () => ({}), wake_up: () => ({ status: "ok" }) } });
  await bench.serve();
  await bench.ask("/engine/drain", post());
  await bench.ask("/engine/control/sleep", post());
  assert.deepEqual(await bench.ask("/engine/control/wake_up", post()), { status: 200, body: { status: "ok" } });
  assert.equal(bench.isRegistered(), false);
  assert.equal(await bench.health(), 503);
  assert.equal((await bench.ask("/engine/resume", post())).status, 200);
  assert.equal(bench.isRegistered(), true);
  assert.equal(await bench.health(), 200);
});

test("prologues are sent before the record goes, once a departure; the pipeline learns of the return", async () => {
  const bench = await createBench({ controls: { sleep: () => ({}), wake_up: () => ({}) } }, {
    hooks: {
      leaving: async () => void bench.events.push(`leaving ${await bench.health()}`),
      returned: () => void bench.events.push("returned"),
      changed: (absence, isThere) => void bench.events.push(`${absence} ${isThere}`),
    },
  });
  await bench.serve();
  for (const path of ["drain", "control/sleep", "control/sleep", "control/wake_up", "resume", "control/wake_up"]) {
    bench.events.push(`- ${path}`);
    await bench.ask(`/engine/${path}`, post());
  }
  assert.deepEqual(bench.events, [
    "- drain",
    "leaving 503",
    "delete v1/instances",
    "drained true",
    "- control/sleep",
    "delete v1/instances",
    "asleep true",
    "- control/sleep",
    "delete v1/instances",
    "- control/wake_up",
    "asleep false",
    "- resume",
    "put v1/instances",
    "drained false",
    "returned",
    "- control/wake_up",
    "put v1/instances",
  ]);
});

test("a worker that cannot leave holds prologues again", async () => {
  const seen: string[] = [];
  const bench = await createBench({}, {
    hooks: {
      leaving: () => Promise.resolve(void seen.push("leaving")),
      returned: () => void seen.push("returned"),
      changed: () => void seen.push("changed"),
    },
  });
  await bench.serve();
  bench.broken.add("v1/instances");
  await bench.ask("/engine/drain", post());
  assert.deepEqual(seen, ["leaving", "returned"]);
});
