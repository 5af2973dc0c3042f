/** The front door and the command line, with a process that is not ours. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { runOn } from "../../src/commands/run.ts";
import type { EngineModule } from "../../src/engine/engine.ts";
import { DynamoError } from "../../src/protocol/error.ts";
import { chunk } from "../../src/protocol/output.ts";
import { serveOn } from "../../src/serve.ts";
import { WORKER_OPTIONS } from "../../src/worker/option_rows.ts";
import { openFakeNats } from "../support/fake_nats.ts";
import { fakeProcess } from "../support/fake_process.ts";
import { eventually, platformWith, probeEngine } from "../support/worker_rig.ts";

const NO_GATEWAY = { gateway: false };
const generate = async function* () {
  yield chunk.stop();
};

for (const signal of ["SIGTERM", "SIGINT"]) {
  test(`${signal} ends serve() in order with code 0 and no listener left`, async () => {
    const { engine, probe } = probeEngine(generate);
    const { platform, fire, serving, listeners } = fakeProcess();
    const exit = serveOn(platform, engine, { argv: [], ...NO_GATEWAY });
    await eventually("the worker to serve", serving);
    fire(signal);
    assert.equal(await exit, 0);
    assert.deepEqual([probe.starts, probe.drains, probe.cleanups], [1, 1, 1]);
    assert.equal(listeners(), 0);
  });
}

test("the gateway reaches its own worker over NATS", async () => {
  await using server = await openFakeNats();
  const { platform, out, fire } = fakeProcess({ NATS_SERVER: `nats://127.0.0.1:${server.port}` });
  const { engine } = probeEngine(async function* () {
    yield { token_ids: [1], finish_reason: "length" };
  });
  const exit = serveOn(platform, engine, { argv: ["--request-plane", "nats", "--gateway-port", "0"] });
  await eventually("the gateway", () => out.some((line) => line.startsWith("Gateway listening")));
  const origin = /http:\S+(?=,)/.exec(out.find((line) => line.startsWith("Gateway listening"))!)![0];
  const response = await fetch(`${origin}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "probe", messages: [{ role: "user", content: "x" }] }),
  });
  const { choices } = await response.json() as { readonly choices: readonly { readonly finish_reason: string }[] };
  assert.deepEqual([response.status, choices[0]!.finish_reason], [200, "length"]);
  assert.equal(server.connects.length, 2, "the worker's and the gateway's");
  fire("SIGTERM");
  assert.equal(await exit, 0);
});

test("a signal during start ends serve() with code 0, without serving", async () => {
  const { engine, probe } = probeEngine(generate, {
    start: (_id, signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve({ model: "m" }))),
  });
  const { platform, fire, serving } = fakeProcess();
  const exit = serveOn(platform, engine, { argv: [], ...NO_GATEWAY });
  await eventually("start to be called", () => probe.starts === 1);
  fire("SIGTERM");
  assert.equal(await exit, 0);
  assert.equal(serving(), false);
  assert.equal(probe.cleanups, 1);
});

test("a second signal ends serve() with code 3, and cleanup has run", async () => {
  const { engine, probe } = probeEngine(generate, { drain: () => new Promise(() => {}) });
  const { platform, fire, serving } = fakeProcess();
  const exit = serveOn(platform, engine, { argv: [], ...NO_GATEWAY });
  await eventually("the worker to serve", serving);
  fire("SIGTERM");
  await eventually("drain to be called", () => probe.drains === 1);
  fire("SIGINT");
  assert.equal(await exit, 3);
  assert.equal(probe.cleanups, 1);
});

test("an error nobody caught ends serve() in order with code 4, also when a signal came first", async () => {
  for (const first of [undefined, "SIGTERM"]) {
    const { engine, probe } = probeEngine(generate);
    const { platform, fire, errors, serving } = fakeProcess();
    const exit = serveOn(platform, engine, { argv: [], ...NO_GATEWAY });
    await eventually("the worker to serve", serving);
    if (first !== undefined) fire(first);
    fire("fault", new TypeError("x is undefined"));
    assert.equal(await exit, 4);
    assert.ok(errors.includes("Unknown: TypeError: x is undefined"), errors.join("\n"));
    assert.equal(probe.cleanups, 1);
  }
});

test("a start that fails ends serve() with code 1 and prints kind and message", async () => {
  const { engine, probe } = probeEngine(generate, {
    start: () => Promise.reject(new DynamoError("CannotConnect", "no device")),
  });
  const { platform, errors } = fakeProcess();
  assert.equal(await serveOn(platform, engine, { argv: [], ...NO_GATEWAY }), 1);
  assert.ok(errors.includes("CannotConnect: no device"));
  assert.equal(probe.cleanups, 1);
});

test("a configuration the contract refuses ends serve() with code 1", async () => {
  const { engine } = probeEngine(generate);
  const { platform, errors } = fakeProcess();
  assert.equal(await serveOn(platform, engine, { argv: ["--endpoint-types", "foo"], ...NO_GATEWAY }), 1);
  assert.ok(errors.some((line) => /^InvalidArgument: .*foo/.test(line)), errors.join("\n"));
});

test("a port in use ends serve() with code 1 and one line that names it", async () => {
  const busy = await platformWith().net.listen({ host: "127.0.0.1", port: 0 }, () => ({ data() {}, closed() {} }));
  const port = String(busy.address.port);
  const { engine, probe } = probeEngine(generate);
  const { platform, errors } = fakeProcess({ DYN_TCP_RPC_PORT: port });
  assert.equal(await serveOn(platform, engine, { argv: [], ...NO_GATEWAY }), 1);
  assert.ok(errors.some((line) => line.includes(`127.0.0.1:${port}`)));
  assert.equal(probe.starts, 0);
  await busy[Symbol.asyncDispose]();
});

test("bad usage ends serve() with code 2, one line, and nothing started", async () => {
  for (
    const [argv, env] of [
      [["--modle-name", "x"], {}],
      [["--request-plane", "udp"], {}],
      [["--gateway-port", "x"], {}],
      [["stray"], {}],
      [[], { DYN_DISCOVERY_BACKEND: "etdc" }],
    ] as const
  ) {
    const { engine, probe } = probeEngine(generate);
    const { platform, errors } = fakeProcess(env);
    assert.equal(await serveOn(platform, engine, { argv }), 2);
    assert.equal(errors.length, 1);
    assert.equal(errors[0]!.includes("\n"), false);
    assert.equal(probe.starts, 0);
  }
});

test("an engine module that cannot be made ends serve() with code 1", async () => {
  const module: EngineModule = {
    options: [],
    create: () => Promise.reject(new DynamoError("InvalidArgument", "--delay and --speed exclude each other")),
  };
  const { platform, errors } = fakeProcess();
  assert.equal(await serveOn(platform, module, { argv: [], ...NO_GATEWAY }), 1);
  assert.deepEqual(errors, ["InvalidArgument: --delay and --speed exclude each other"]);
});

test("an engine module gets its values and changes common defaults", async () => {
  const { engine } = probeEngine(generate);
  let values: Readonly<Record<string, unknown>> = {};
  const module: EngineModule = {
    options: [{ key: "delay", flag: "delay", type: "number", default: 1, group: "Mine", help: "time" }],
    defaults: { component: "mine" },
    create: (given) => (values = given, engine),
  };
  const { platform, fire, errors, serving } = fakeProcess();
  const exit = serveOn(platform, module, { argv: ["--delay", "0.5"], ...NO_GATEWAY });
  await eventually("the worker to serve", serving);
  fire("SIGTERM");
  assert.equal(await exit, 0);
  assert.deepEqual([values.delay, values.component], [0.5, "mine"]);
  assert.ok(errors.some((line) => line.includes("dynamo.mine.generate")));
});

test("a garbled number in the environment and an unused ETCD_ENDPOINTS are warned of", async () => {
  const { engine } = probeEngine(generate);
  const env = { DYN_WORKER_GRACEFUL_SHUTDOWN_TIMEOUT: "soon", ETCD_ENDPOINTS: "http://etcd:2379" };
  const { platform, fire, errors, serving } = fakeProcess(env);
  const exit = serveOn(platform, engine, { argv: [], ...NO_GATEWAY });
  await eventually("the worker to serve", serving);
  fire("SIGTERM");
  await exit;
  for (const name of Object.keys(env)) {
    assert.ok(errors.some((line) => line.includes("WARN") && line.includes(name)), name);
  }
});

test("a proxy that would stand between the worker and etcd is warned of", async () => {
  const { engine } = probeEngine(generate);
  for (const [env, isTold] of [[{}, true], [{ no_proxy: "etcd" }, false]] as const) {
    const { platform, errors } = fakeProcess({ DYN_DISCOVERY_BACKEND: "etcd", http_proxy: "http://proxy:1", ...env });
    const { httpClients: _none, ...unconnected } = platform;
    assert.equal(await serveOn(unconnected, engine, { argv: [] }), 1);
    assert.equal(errors.some((line) => line.includes("WARN") && line.includes("HTTP_PROXY is set")), isTold);
    assert.ok(errors.some((line) => line.startsWith("CannotConnect: this platform cannot call etcd")));
  }
});

test("--help shows all options and starts nothing", async () => {
  const { engine, probe } = probeEngine(generate);
  for (const flag of ["--help", "-h"]) {
    const { platform, out } = fakeProcess();
    assert.equal(await serveOn(platform, engine, { argv: [flag] }), 0);
    const help = out.join("\n");
    for (const row of WORKER_OPTIONS) assert.ok(help.includes(row.flag ?? row.env!), row.key);
  }
  assert.equal(probe.starts, 0);
});

test("serve opens the gateway with mem discovery and prints a command to try", async () => {
  const { engine } = probeEngine(generate);
  const { platform, out, fire } = fakeProcess();
  const exit = serveOn(platform, engine, { argv: ["--gateway-port", "0"] });
  await eventually("the gateway to be told", () => out.length === 2);
  const origin = /http:\/\/[\d.:]+/.exec(out[0]!)![0];
  assert.ok(out[1]!.includes(`curl -N ${origin}/v1/chat/completions`));
  const models = await (await fetch(`${origin}/v1/models`)).json() as { data: { id: string }[] };
  assert.deepEqual(models.data.map(({ id }) => id), ["probe"]);
  fire("SIGTERM");
  assert.equal(await exit, 0);
  await assert.rejects(fetch(`${origin}/v1/models`));
});

// main.ts

/** Tables with one engine and one command. */
function tables() {
  const { engine, probe } = probeEngine(generate);
  const seen: (readonly string[])[] = [];
  const module: EngineModule = { options: [], create: () => engine };
  return {
    probe,
    seen,
    engines: { sample: () => Promise.resolve(module), mocker: () => Promise.resolve(module) },
    commands: {
      bench: () => Promise.resolve({ run: (argv: readonly string[]) => (seen.push(argv), Promise.resolve(7)) }),
    },
  };
}

test("run() hands the arguments to the command that is named, and its code back", async () => {
  const { platform } = fakeProcess();
  const parts = tables();
  assert.equal(await runOn(platform, ["bench", "--requests", "5"], parts), 7);
  assert.deepEqual(parts.seen, [["--requests", "5"]]);
});

test("run() refuses an unknown command or engine with code 2, the names and a guess", async () => {
  const parts = tables();
  for (
    const [args, says] of [
      [["bnech"], /unknown command bnech: choose one of serve, bench; did you mean bench\?/],
      [["--engine", "sampel"], /--engine: unknown engine sampel: choose one of sample, mocker; did you mean sample\?/],
      [["serve", "--engine=none-of-them"], /unknown engine none-of-them/],
      [["--engine"], /unknown engine/],
    ] as const
  ) {
    const { platform, errors } = fakeProcess();
    assert.equal(await runOn(platform, args, parts), 2);
    assert.equal(errors.length, 1);
    assert.match(errors[0]!, says);
  }
  assert.equal(parts.probe.starts, 0);
});

test("run() prints version and help with code 0", async () => {
  const { platform, out } = fakeProcess();
  assert.equal(await runOn(platform, ["--version"], tables()), 0);
  assert.match(out[0]!, /^stator \d+\.\d+\.\d+ \(.*Dynamo 1\.6\.1\)$/);
  assert.equal(await runOn(platform, ["serve", "--help"], tables()), 0);
  assert.match(out.join("\n"), /--engine <sample\|mocker>/);
});

for (
  const args of [["--no-gateway"], ["serve", "--no-gateway"], ["--engine", "mocker", "--no-gateway"], [
    "serve",
    "--no-gateway",
    "--engine=mocker",
  ]]
) {
  test(`run() with ${args.join(" ")} serves`, async () => {
    const parts = tables();
    const { platform, fire, serving } = fakeProcess();
    const exit = runOn(platform, args, parts);
    await eventually("the worker to serve", serving);
    fire("SIGTERM");
    assert.equal(await exit, 0);
    assert.equal(parts.probe.cleanups, 1);
  });
}

test("--num-workers asks a module for as many engines, of the same values", async () => {
  const places: unknown[] = [];
  const seen = new Set<unknown>();
  const module: EngineModule = {
    options: [],
    create: (values, place) => (places.push(place), seen.add(values), probeEngine(generate).engine),
  };
  const { platform, fire, errors } = fakeProcess();
  const exit = serveOn(platform, module, { argv: ["--num-workers", "3"], ...NO_GATEWAY });
  await eventually("all to serve", () => errors.filter((line) => line.includes("Serving")).length === 3);
  fire("SIGTERM");
  assert.equal(await exit, 0);
  assert.deepEqual(places, [0, 1, 2].map((index) => ({ index, count: 3 })));
  assert.equal(seen.size, 1);
});

test("an engine that is one object serves one worker", async () => {
  const { engine } = probeEngine(generate);
  const { platform, errors } = fakeProcess();
  assert.equal(await serveOn(platform, engine, { argv: ["--num-workers", "2"], ...NO_GATEWAY }), 2);
  assert.match(errors.join("\n"), /--num-workers 2: this engine is one object; serve a module/);
  assert.equal(await serveOn(platform, { options: [], create: () => engine }, { argv: ["--stagger-delay=-2"] }), 2);
});

test("in a cluster a pod is one worker", async () => {
  const { platform, errors } = fakeProcess();
  const argv = ["--num-workers", "2", "--discovery-backend", "kubernetes"];
  assert.equal(await serveOn(platform, probeEngine(generate).engine, { argv }), 2);
  assert.match(errors.join("\n"), /--num-workers 2: with kubernetes discovery a pod is one worker/);
});

test("an option that goes away is told to whoever sets it", async () => {
  const old = { key: "old", flag: "old", type: "boolean", group: "Test", help: "x", deprecated: "--new" } as const;
  const module: EngineModule = { options: [old], create: () => probeEngine(generate).engine };
  const { platform, fire, errors, serving } = fakeProcess();
  const exit = serveOn(platform, module, { argv: ["--old"], ...NO_GATEWAY });
  await eventually("the worker to serve", serving);
  fire("SIGTERM");
  assert.equal(await exit, 0);
  assert.ok(errors.some((line) => /WARN.*--old is deprecated; give --new/.test(line)), errors.join("\n"));
});
