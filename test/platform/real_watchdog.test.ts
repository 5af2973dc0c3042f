/** The watchdog thread of a process whose event loop blocks for as long as the test says. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { EPOCH, type Platform, type WatchdogOptions } from "../../src/platform/platform.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { REPOSITORY } from "../support/peers.ts";
import { type Child, start, temporaryFolder, until } from "../support/processes.ts";
import { CURRENT, executable, RUN } from "../support/runtimes.ts";

const WAIT_MS = 30_000;

interface Blocked extends AsyncDisposable {
  readonly child: Child;
  get(path: string, init?: RequestInit): Promise<{ status: number; text: string }>;
  /** Blocks its event loop; resolves once it is. */
  block(): Promise<void>;
  /** Lets it go on. */
  release(): void;
}

async function startBlocked(...limits: (number | boolean)[]): Promise<Blocked> {
  const folder = temporaryFolder("watchdog");
  const file = join(folder.path, "go-on");
  const program = join(REPOSITORY, "test/support/blocked_process.ts");
  const child = start({
    name: "blocked process",
    executable: await executable(CURRENT),
    args: [...RUN[CURRENT], program, file, ...limits.map(String)],
    env: {},
    cwd: REPOSITORY,
  });
  const release = () => writeFileSync(file, "");
  const [, address = ""] = await child.waitFor(/LISTENING (\S+)/, WAIT_MS);
  const get = async (path: string, init?: RequestInit) => {
    const response = await fetch(`http://${address}${path}`, init);
    return { status: response.status, text: await response.text() };
  };
  return {
    child,
    get,
    release,
    async block() {
      void get("/block").catch(() => {});
      await child.waitFor(/BLOCKED/, WAIT_MS);
    },
    async [Symbol.asyncDispose]() {
      release();
      await child[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

test("liveness turns red past its limit while the event loop is blocked, and green again", async () => {
  await using blocked = await startBlocked(300, 0);
  const alive = await blocked.get("/live");
  assert.equal(alive.status, 200);
  const { uptime, ...rest } = JSON.parse(alive.text);
  assert.deepEqual(rest, { status: "ready", endpoints: { generate: "ready" } });
  assert.deepEqual(Object.keys(uptime), ["secs", "nanos"]);

  await blocked.block();
  const red = await until("a red liveness check", WAIT_MS, async () => {
    const answer = await blocked.get("/live");
    return answer.status === 503 && JSON.parse(answer.text);
  });
  assert.deepEqual([red.status, red.endpoints, red.error], [
    "notready",
    { generate: "notready" },
    "Event loop blocked",
  ]);
  assert.match(red.message, /^the event loop has been blocked for [\d.]+ s, more than 0\.3 s$/);
  assert.equal((await blocked.get("/live", { method: "HEAD" })).status, 503);

  blocked.release();
  await until("a green one", WAIT_MS, async () => (await blocked.get("/live")).status === 200);
  assert.equal((await blocked.get("/health")).text, "GET /health ");
});

test("while the event loop is blocked every path has an answer, and liveness is green below its limit", async () => {
  await using blocked = await startBlocked(3_600_000, 0);
  await blocked.block();
  // Asked before the thread can know, or after.
  const health = await blocked.get("/health");
  assert.equal(health.status, 503);
  assert.equal(JSON.parse(health.text).status, "notready");
  const [read, posted] = await Promise.all([blocked.get("/metrics"), blocked.get("/x", { method: "POST", body: "b" })]);
  assert.deepEqual([read.status, posted.status], [504, 504]);
  assert.match(JSON.parse(read.text).message, /^the event loop has been blocked for [\d.]+ s$/);
  assert.match(JSON.parse(posted.text).message, /; the request may still be carried out$/);
  assert.equal((await blocked.get("/live")).status, 200);
  blocked.release();
  await until("an answer", WAIT_MS, async () => (await blocked.get("/metrics")).status === 200);
});

test("an event loop that is blocked for too long ends the process with the code and the line it is given", async () => {
  await using blocked = await startBlocked(100, 300);
  await blocked.block();
  assert.deepEqual(await blocked.child.exit(WAIT_MS), { code: 4, signal: null });
  assert.match(blocked.child.output(), /^20\d\d-\d\d-\d\dT[\d:.]{15}Z ERROR blocked for good$/m);
});

test("a blocked event loop is no failure while it does not count", async () => {
  await using blocked = await startBlocked(100, 300, false);
  await blocked.block();
  await until("the thread to have noticed", WAIT_MS, async () => (await blocked.get("/health")).status === 503);
  assert.equal((await blocked.get("/live")).status, 200);
  blocked.release();
  await until("an answer", WAIT_MS, async () => (await blocked.get("/health")).status === 200);
});

// In this process: what the thread passes on.

interface Proxy extends AsyncDisposable {
  readonly origin: string;
  readonly direct: string;
}

async function openProxy(
  handler: Parameters<Platform["http"]["serve"]>[1],
  options: Partial<WatchdogOptions> = {},
): Promise<Proxy> {
  const { http, watchdog } = realPlatform;
  await using undo = new AsyncDisposableStack();
  const backend = undo.use(await http.serve({ host: "127.0.0.1", port: 0 }, handler));
  const thread = undo.use(await watchdog!.start());
  const { host, port } = await thread.serve({
    address: { host: "127.0.0.1", port: 0 },
    backend: backend.address,
    maxBodyBytes: 1024,
    livePath: "/live",
    healthPath: "/health",
    limitMs: 3_600_000,
    patienceMs: 1000,
    exitMs: 0,
    exitCode: 4,
    lastWords: EPOCH,
    uptimeMs: 0,
    state: () => ({ ready: true, endpoints: {}, counts: true }),
    lost: () => assert.fail("the thread was lost"),
    ...options,
  });
  const opened = undo.move();
  return {
    origin: `http://${host.includes(":") ? `[${host}]` : host}:${port}`,
    direct: `http://127.0.0.1:${backend.address.port}`,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

const echo = async (request: Request) => {
  const { pathname, search } = new URL(request.url);
  const body = await request.text();
  const given = ["x-a", "content-type", "content-length"].map((name) => request.headers.get(name));
  return new Response(JSON.stringify([request.method, pathname + search, given, body]), {
    status: pathname === "/teapot" ? 418 : 200,
    headers: { "x-b": "1", "content-type": "text/plain; charset=utf-8" },
  });
};

test("requests come through as they are, many at once, and so do their answers", async () => {
  await using proxy = await openProxy(echo);
  const requests: [path: string, init: RequestInit][] = [
    ["/a%2Fb?x=%20y", {}],
    ["/teapot", { headers: { "x-a": "1, 2" } }],
    ["/engine/control/sleep", { method: "POST", body: '{"level":1}', headers: { "content-type": "application/json" } }],
    ["/delete", { method: "DELETE" }],
    ["/long", { method: "PUT", body: "x".repeat(1024) }],
    ["/live", { method: "POST" }],
  ];
  const many = Array.from({ length: 10 }, () => requests).flat();
  const ask = (origin: string) =>
    Promise.all(many.map(async ([path, init]) => {
      const response = await fetch(origin + path, init);
      const names = ["x-b", "content-type", "content-length"];
      return [response.status, names.map((name) => response.headers.get(name)), await response.text()];
    }));
  assert.deepEqual(await ask(proxy.origin), await ask(proxy.direct));
});

test("a long answer comes through whole", async () => {
  const bytes = new Uint8Array(3_000_000).map((_, i) => i);
  await using proxy = await openProxy(() => new Response(bytes));
  const answer = new Uint8Array(await (await fetch(proxy.origin)).arrayBuffer());
  assert.deepEqual(answer, bytes);
});

test("a body that is too long is refused by the server behind, which is told its length", async () => {
  await using proxy = await openProxy((request) =>
    new Response(request.headers.get("content-length"), { status: 413 })
  );
  const answer = await fetch(proxy.origin, { method: "POST", body: "x".repeat(2000) });
  assert.deepEqual([answer.status, await answer.text()], [413, "2000"]);
});

test("a client that leaves is told to the server behind", async () => {
  const left = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  await using proxy = await openProxy(async (request) => {
    request.signal.addEventListener("abort", () => left.resolve());
    arrived.resolve();
    await left.promise;
    return new Response();
  });
  const control = new AbortController();
  const answer = fetch(proxy.origin, { signal: control.signal });
  await arrived.promise;
  control.abort();
  await assert.rejects(answer);
  await left.promise;
});

test("an IPv6 address is served", async () => {
  await using proxy = await openProxy(echo, { address: { host: "::1", port: 0 } });
  assert.equal((await fetch(`${proxy.origin}/live`)).status, 200);
  assert.equal((await fetch(`${proxy.origin}/teapot`)).status, 418);
});

test("a port in use rejects as it does without the thread", async () => {
  const busy = createServer();
  await new Promise<void>((resolve) => busy.listen(0, "127.0.0.1", resolve));
  const { port } = busy.address() as { port: number };
  await assert.rejects(openProxy(echo, { address: { host: "127.0.0.1", port } }), { code: "EADDRINUSE" });
  await new Promise<void>((resolve) => busy.close(() => resolve()));
});

test("a thread that is disposed has freed its port", async () => {
  const proxy = await openProxy(echo);
  await proxy[Symbol.asyncDispose]();
  await assert.rejects(fetch(`${proxy.origin}/live`));
});
