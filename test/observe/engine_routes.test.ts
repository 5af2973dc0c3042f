import assert from "node:assert/strict";
import { test } from "node:test";
import type { EngineRoute } from "../../src/observe/engine_routes.ts";
import { createMetrics } from "../../src/observe/metrics.ts";
import { Artifacts, createStatusApp } from "../../src/observe/status_server.ts";

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

/** Asks an app with these routes; none at all if there are `null`. */
async function ask(
  routes: Readonly<Record<string, EngineRoute>> | null,
  path: string,
  init?: RequestInit,
): Promise<Answer> {
  const engine = { find: (name: string) => routes?.[name] ?? null };
  const app = createStatusApp({
    health: () => ({ ready: true, uptimeMs: 0, endpoints: {} }),
    metrics: createMetrics({ instanceId: 1n, now: () => 0 }),
    artifacts: new Artifacts(),
    ...(routes === null ? {} : { engine }),
  });
  const response = await app.request(path, init);
  return { status: response.status, text: await response.text(), headers: response.headers };
}

const echo: EngineRoute = { call: (body) => ({ status: 200, body: { body } }) };

for (const method of ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
  test(`${method} reaches a route, without a body as {}`, async () => {
    const { status, text, headers } = await ask({ "control/x": echo }, "/engine/control/x", { method });
    assert.deepEqual([status, text], [200, '{"body":{}}']);
    assert.equal(headers.get("content-type"), "text/plain; charset=utf-8");
  });
}

test("HEAD is answered like GET, without the body", async () => {
  const { status, text } = await ask({ a: { ...echo, method: "GET" } }, "/engine/a", { method: "HEAD" });
  assert.deepEqual([status, text], [200, ""]);
});

test("a body is any JSON, its long integers whole both ways", async () => {
  for (const body of ['{"id":18446744073709551615}', "[1]", "null", "1"]) {
    assert.equal((await ask({ a: echo }, "/engine/a", { method: "POST", body })).text, `{"body":${body}}`);
  }
});

test("a body that is no JSON is refused before the route is looked for", async () => {
  const { status, text } = await ask({}, "/engine/nope", { method: "POST", body: "zzz" });
  assert.equal(status, 400);
  assert.equal(text, '{"error":"Invalid JSON","message":"expected value at line 1 column 1"}');
  const bytes = await ask({ a: echo }, "/engine/a", { method: "POST", body: Uint8Array.of(0x22, 0xff, 0x22) });
  assert.equal(bytes.text, '{"error":"Invalid JSON","message":"invalid unicode code point at line 1 column 3"}');
});

for (const [path, named] of [["nope", "nope"], ["a%20b/c", "a b/c"], ["control/x/", "control/x/"]]) {
  test(`/engine/${path} is no route`, async () => {
    const { status, text } = await ask({ "control/x": echo }, `/engine/${path}`, { method: "POST" });
    assert.equal(status, 404);
    assert.equal(text, `{"error":"Route not found","message":"Route /engine/${named} not found"}`);
  });
}

test("/engine itself, and a worker without routes, are plainly not found", async () => {
  for (const path of ["/engine", "/engine/"]) assert.equal((await ask({ "": echo }, path)).text, "Route not found");
  const { status, text } = await ask(null, "/engine/status");
  assert.deepEqual([status, text], [404, "Route not found"]);
});

test("a route with a method names it to who uses another", async () => {
  let calls = 0;
  const drain: EngineRoute = { method: "POST", call: () => (calls++, { status: 409, body: { status: "error" } }) };
  const wrong = await ask({ drain }, "/engine/drain");
  assert.deepEqual([wrong.status, wrong.headers.get("allow"), calls], [405, "POST", 0]);
  assert.equal(wrong.text, '{"error":"Method not allowed","message":"/engine/drain takes POST only"}');
  assert.equal((await ask({ drain }, "/engine/drain", { method: "POST" })).status, 409);
});

for (const how of ["told", "untold"]) {
  test(`a body of more than 2 MiB is refused, its length ${how}`, async () => {
    const bytes = new TextEncoder().encode(JSON.stringify("x".repeat(2 ** 21 - 1)));
    const of = (body: Uint8Array<ArrayBuffer>): RequestInit => ({
      method: "POST",
      body: how === "told" ? body : new Blob([body]).stream(),
      ...(how === "told" ? { headers: { "content-length": String(body.length) } } : { duplex: "half" }),
    });
    assert.equal(bytes.length, 2 ** 21 + 1);
    const { status, text } = await ask({ a: echo }, "/engine/a", of(bytes));
    assert.deepEqual([status, text], [413, "Failed to buffer the request body: length limit exceeded"]);
    const just = new TextEncoder().encode(JSON.stringify("x".repeat(2 ** 21 - 2)));
    assert.equal((await ask({ a: echo }, "/engine/a", of(just))).status, 200);
  });
}
