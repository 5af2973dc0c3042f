import assert from "node:assert/strict";
import { test } from "node:test";
import { createLog } from "../../src/observe/log.ts";
import { createMetrics } from "../../src/observe/metrics.ts";
import { Artifacts, createStatusApp, type Health, type StatusAppOptions } from "../../src/observe/status_server.ts";
import { goldenBytes, goldenText } from "../support/golden.ts";

const golden = JSON.parse(goldenText("contract/http/system_status_server.json"));
const PREFIX = "/v1/metadata/dynamo/sample/generate/hdr-m/_base";
const SERVING: Health = {
  ready: true,
  uptimeMs: 195_173.703455,
  endpoints: { generate: "ready", worker_kv_query_source_8e40acabcd0eb: "ready" },
};

interface World {
  readonly artifacts: Artifacts;
  readonly lines: string[];
  get(path: string, init?: RequestInit): Promise<Response>;
}

function create(options: Partial<StatusAppOptions> = {}): World {
  const artifacts = new Artifacts();
  const lines: string[] = [];
  const app = createStatusApp({
    health: () => SERVING,
    metrics: createMetrics({ instanceId: 1n, now: () => 0 }),
    artifacts,
    log: createLog({ wallTime: () => 0, write: (line) => lines.push(line) }),
    ...options,
  });
  return { artifacts, lines, get: async (path, init) => await app.request(path, init) };
}

async function assertText(response: Response, status: number, body: string): Promise<void> {
  assert.equal(await response.text(), body);
  assert.equal(response.status, status);
  assert.equal(response.headers.get("content-type"), "text/plain; charset=utf-8");
}

test("/health of a serving worker has the captured body", async () => {
  const { status, body } = golden["GET /health (serving)"];
  await assertText(await create().get("/health"), status, JSON.stringify(body));
});

test("/health of a starting worker is 503, its /live is 200", async () => {
  const { status, body } = golden["GET /health (engine still in start())"];
  const { get } = create({ health: () => ({ ready: false, uptimeMs: 1996.454492, endpoints: {} }) });
  await assertText(await get("/health"), status, JSON.stringify(body));
  await assertText(await get("/live"), 200, JSON.stringify(body));
});

test("health and liveness move to the paths they are given", async () => {
  const { get } = create({ healthPath: "/ready/z", livePath: "livez" });
  assert.equal((await get("/ready/z")).status, 200);
  assert.equal((await get("/livez")).status, 200);
  for (const path of ["/health", "/live"]) await assertText(await get(path), 404, "Route not found");
});

for (const path of ["/metadata (file discovery)", "/nope", "/v1/metadata/a/b/c/d/e/f"]) {
  test(`GET ${path} answers as captured`, async () => {
    const { status, body } = golden[`GET ${path}`];
    await assertText(await create().get(path.replace(/ .*/, "")), status, body);
  });
}

test("/metadata shows what the backend has to show", async () => {
  const response = await create({ metadata: () => '{"endpoints":{}}' }).get("/metadata");
  assert.deepEqual([response.status, response.headers.get("content-type")], [200, "application/json"]);
  assert.equal(await response.text(), '{"endpoints":{}}');
});

test("a path that is too short for a model file is no route", async () => {
  await assertText(await create().get("/v1/metadata/a/b"), 404, "Route not found");
});

test("/metrics has the exposition and its media type", async () => {
  const response = await create().get("/metrics");
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  assert.match(await response.text(), /^dynamo_component_uptime_seconds\{worker_id="1"\} 0$/m);
});

test("a hosted file is served whole, by GET and by HEAD, whatever range is asked for", async () => {
  const { artifacts, get } = create();
  const bytes = goldenBytes("discovery/model/config.json");
  artifacts.host(PREFIX, "config.json", () => Promise.resolve(bytes));
  for (const init of [{}, { headers: { range: "bytes=0-9" } }, { method: "HEAD" }]) {
    const response = await get(`${PREFIX}/config.json`, init);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "application/octet-stream");
    assert.equal(response.headers.get("content-length"), "323");
    const body = new Uint8Array(await response.arrayBuffer());
    assert.deepEqual(body, "method" in init ? new Uint8Array(0) : bytes);
  }
});

test("a hosted file is read anew for each request, and its name may need escaping", async () => {
  const { artifacts, get } = create();
  let version = 0;
  artifacts.host(PREFIX, "a b%2F.json", () => Promise.resolve(Uint8Array.of(++version)));
  for (const expected of [1, 2]) {
    const response = await get(`${PREFIX}/${encodeURIComponent("a b%2F.json")}`);
    assert.deepEqual([...new Uint8Array(await response.arrayBuffer())], [expected]);
  }
});

test("a file that cannot be read gives 500 and a log line", async () => {
  const { artifacts, lines, get } = create();
  artifacts.host(PREFIX, "config.json", () => Promise.reject(new Error("ENOENT: gone")));
  await assertText(await get(`${PREFIX}/config.json`), 500, "Failed to read file");
  assert.match(lines[0] ?? "", /WARN Cannot read model file file=config.json error="Error: ENOENT: gone"/);
});

test("a file is gone once its hosting is disposed, unless it was hosted anew", async () => {
  const { artifacts, get } = create();
  const first = artifacts.host(PREFIX, "x", () => Promise.resolve(Uint8Array.of(1)));
  const second = artifacts.host(PREFIX, "x", () => Promise.resolve(Uint8Array.of(2)));
  first[Symbol.dispose]();
  assert.equal((await get(`${PREFIX}/x`)).status, 200);
  second[Symbol.dispose]();
  await assertText(await get(`${PREFIX}/x`), 404, "Not found");
});
