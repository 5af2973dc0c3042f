/** The system server with and without a watchdog thread. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLog, SILENT } from "../../src/observe/log.ts";
import type { HttpServer, Platform, SocketAddress, Watchdog, WatchdogOptions } from "../../src/platform/platform.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { chunk } from "../../src/protocol/output.ts";
import { serveOn } from "../../src/serve.ts";
import { Lifecycle } from "../../src/worker/lifecycle.ts";
import { resolveOptions } from "../../src/worker/resolve_options.ts";
import { serveWatched } from "../../src/worker/watchdog.ts";
import { eventually, platformWith, probeEngine, startRig } from "../support/worker_rig.ts";

const ANY: SocketAddress = { host: "127.0.0.1", port: 0 };

/** Threads that only write down what they are told. */
function fakeWatchdog() {
  const told: WatchdogOptions[] = [];
  const counts = { started: 0, refreshed: 0, disposed: 0 };
  const watchdog: Watchdog = {
    start() {
      counts.started++;
      return Promise.resolve({
        serve: (options) => {
          told.push(options);
          return Promise.resolve(options.address);
        },
        refresh: () => void counts.refreshed++,
        [Symbol.asyncDispose]: () => Promise.resolve(void counts.disposed++),
      });
    },
  };
  return { watchdog, told, counts };
}

async function open(
  watchdog: Watchdog,
  env: Readonly<Record<string, string>> = {},
  address = ANY,
): Promise<{ server: HttpServer; lifecycle: Lifecycle; lines: string[] }> {
  const lines: string[] = [];
  const log = createLog({ wallTime: () => 0, write: (line) => lines.push(line) });
  const lifecycle = new Lifecycle(SILENT);
  const parts = {
    platform: platformWith({ watchdog }),
    options: resolveOptions({}, env),
    log,
    lifecycle,
    endpoints: () => ({ generate: "ready" }) as const,
    uptimeMs: () => 7,
  };
  const server = await serveWatched(parts, address, () => new Response("from the event loop"));
  return { server, lifecycle, lines };
}

const ask = async ({ address }: HttpServer) => await (await fetch(`http://${address.host}:${address.port}/`)).text();

test("the thread gets the address, a server behind it, the limits and the state", async () => {
  const { watchdog, told, counts } = fakeWatchdog();
  const env = { STATOR_LIVENESS_LIMIT_SECS: "2.5", STATOR_BLOCKED_EXIT_SECS: "11", DYN_SYSTEM_LIVE_PATH: "livez" };
  const { server, lifecycle } = await open(watchdog, env, { host: "192.0.2.1", port: 81 });
  const [options] = told;
  assert.deepEqual(server.address, { host: "192.0.2.1", port: 81 });
  assert.deepEqual([options?.livePath, options?.healthPath], ["/livez", "/health"]);
  assert.deepEqual([options?.limitMs, options?.exitMs, options?.exitCode, options?.uptimeMs], [2500, 11_000, 4, 7]);
  const backend = { ...server, address: options!.backend };
  assert.equal(backend.address.host, "127.0.0.1");
  assert.equal(await ask(backend), "from the event loop");

  const states = [options!.state()];
  for (const move of ["starting", "ready", "stopping"] as const) {
    lifecycle.move(move);
    states.push(options!.state());
  }
  assert.deepEqual(states.map(({ ready, counts }) => [ready, counts]), [
    [false, false],
    [false, false],
    [true, true],
    [false, true],
  ]);
  assert.equal(counts.refreshed, 3, "the thread hears of each move at once");
  await server[Symbol.asyncDispose]();
  assert.equal(counts.disposed, 1);
  await assert.rejects(ask(backend));
});

for (
  const [env, line] of [
    [
      {},
      /^1970-01-01T00:00:00\.000000Z ERROR stator::watchdog: The event loop .* 60 s; ending the process exit_code=4$/,
    ],
    [
      { DYN_LOGGING_JSONL: "1" },
      /^\{"time":"1970-01-01T00:00:00\.000000Z","level":"ERROR","target":"stator::watchdog",/,
    ],
    [{ DYN_LOG_USE_LOCAL_TZ: "1", DYN_LOGGING_CONSOLE_FORMAT: "x" }, /^1970-01-01T00:00:00\.000000Z ERROR stator::w/],
    [{ DYN_LOG: "off" }, /^$/],
  ] as const
) {
  test(`the thread's last line is like the log's with ${JSON.stringify(env)}`, async () => {
    const { watchdog, told } = fakeWatchdog();
    const { server } = await open(watchdog, env);
    assert.match(told[0]!.lastWords, line);
    await server[Symbol.asyncDispose]();
  });
}

test("a limit of 0 starts no thread", async () => {
  const { watchdog, counts } = fakeWatchdog();
  const { server, lines } = await open(watchdog, { STATOR_LIVENESS_LIMIT_SECS: "0" });
  assert.equal(await ask(server), "from the event loop");
  assert.deepEqual([counts.started, lines], [0, []]);
  await server[Symbol.asyncDispose]();
});

test("a thread that cannot be started costs one warning", async () => {
  const { server, lines } = await open({ start: () => Promise.reject(new Error("no threads here")) });
  assert.equal(await ask(server), "from the event loop");
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /WARN Cannot start a watchdog thread.*no threads here/);
  await server[Symbol.asyncDispose]();
});

test("a thread that is lost is replaced by the event loop's own server at the same address", async () => {
  const { watchdog, told } = fakeWatchdog();
  // A port that is free: the fake thread listens nowhere.
  const free = await realPlatform.http.serve(ANY, () => new Response());
  await free[Symbol.asyncDispose]();
  const { server, lines } = await open(watchdog, {}, free.address);
  await assert.rejects(ask(server));
  told[0]!.lost(new Error("gone"));
  await eventually("an answer", () => ask(server).then(() => true, () => false));
  assert.match(lines[0]!, /ERROR The watchdog thread is gone; serving without it.*gone/);
  await server[Symbol.asyncDispose]();
  await assert.rejects(ask(server));
});

const generate = async function* () {
  yield chunk.stop();
};

test("a worker inside another program starts no thread", async () => {
  const { watchdog, counts } = fakeWatchdog();
  await using rig = await startRig(probeEngine(generate).engine, { platform: { watchdog } });
  assert.equal((await fetch(`http://${rig.info.systemAddress}/live`)).status, 200);
  assert.equal(counts.started, 0);
});

test("/metrics and /health of serve() are the same through the thread as behind it", async () => {
  const { engine } = probeEngine(generate);
  const behind: SocketAddress[] = [];
  const lines: string[] = [];
  let stop = () => {};
  const http: Platform["http"] = {
    async serve(address, handler) {
      const server = await realPlatform.http.serve(address, handler);
      behind.push(server.address);
      return server;
    },
  };
  const process: Platform["process"] = {
    ...realPlatform.process,
    env: { DYN_SYSTEM_PORT: "0" },
    printError: (line) => void lines.push(line),
    onSignal: (_signal, run) => {
      stop = run;
      return { [Symbol.dispose]: () => {} };
    },
    onFault: () => ({ [Symbol.dispose]: () => {} }),
  };
  const exit = serveOn(platformWith({ http, process }), engine, { argv: [], gateway: false });
  await eventually("the worker to serve", () => lines.some((line) => line.includes("Serving")));
  const open = lines.join("\n").match(/System server listening address=(\S+)/)![1];
  const get = async (address: string, path: string) => {
    const response = await fetch(`http://${address}${path}`);
    const body = (await response.text()).replace(/"uptime":\{.*?\}|(?<=^\w*uptime_seconds\{.*?\} ).*$/gm, "UPTIME");
    return { status: response.status, type: response.headers.get("content-type"), body };
  };
  const [{ port } = ANY, ...others] = behind;
  assert.deepEqual(others, [], "the event loop listens at one address only");
  for (const path of ["/metrics", "/health", "/live", "/nope", "/engine/status"]) {
    const [through, direct] = [await get(open!, path), await get(`127.0.0.1:${port}`, path)];
    if (path !== "/engine/status") assert.deepEqual(through, direct, path);
    else assert.equal(through.status, direct.status);
  }
  stop();
  assert.equal(await exit, 0);
  await assert.rejects(fetch(`http://${open}/live`));
});
