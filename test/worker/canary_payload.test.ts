import assert from "node:assert/strict";
import { test } from "node:test";
import type { Engine } from "../../src/engine/engine.ts";
import { createLog } from "../../src/observe/log.ts";
import type { Files } from "../../src/platform/platform.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { encodeText } from "../../src/protocol/payload.ts";
import { UsageError } from "../../src/worker/command_line.ts";
import { type PayloadSettings, readSetPayload, resolvePayload } from "../../src/worker/canary_payload.ts";

const FILES: Readonly<Record<string, Uint8Array>> = {
  "/probe.json": encodeText('{"token_ids":[9]}\n'),
  "/list.json": encodeText("[1]"),
  "/text.json": encodeText("token_ids: 9"),
  "/latin1.json": Uint8Array.of(0x22, 0xe9, 0x22),
};
const files = {
  read: (path: string) => {
    const bytes = FILES[path];
    return bytes === undefined
      ? Promise.reject(Object.assign(new Error("no such file"), { code: "ENOENT" }))
      : Promise.resolve(bytes);
  },
} as Files;

/** An engine of which only this hook is asked. */
function engineWith(healthCheckPayload?: () => unknown): Engine {
  return (healthCheckPayload === undefined ? {} : { healthCheckPayload }) as Engine;
}

function recorder() {
  const lines: string[] = [];
  const log = createLog({ level: "debug", wallTime: () => 0, write: (line) => void lines.push(line) });
  return { log, warnings: () => lines.filter((line) => line.includes("WARN")) };
}

async function resolve(settings: PayloadSettings, engine: Engine) {
  const { log, warnings } = recorder();
  const payload = resolvePayload(await readSetPayload(settings, files, log), engine, log);
  return { payload, warnings: warnings() };
}

const marked = (id: number) => ({ token_ids: [id], _HEALTH_CHECK: true });
const asks = (id: number) => engineWith(() => ({ token_ids: [id] }));

const precedence: readonly (readonly [string, PayloadSettings, Engine, unknown])[] = [
  ["nothing", {}, engineWith(), null],
  ["engine only", {}, asks(3), marked(3)],
  ["engine without one", {}, engineWith(() => null), null],
  ["engine that forgets to return one", {}, engineWith(() => undefined), null],
  ["variable only", { healthCheckEnvPayload: '{"token_ids":[2]}' }, engineWith(), marked(2)],
  ["variable over engine", { healthCheckEnvPayload: '{"token_ids":[2]}' }, asks(3), marked(2)],
  ["variable with a file", { healthCheckEnvPayload: "@/probe.json" }, asks(3), marked(9)],
  ["variable of spaces", { healthCheckEnvPayload: "  " }, asks(3), marked(3)],
  ["option only", { healthCheckPayload: '{"token_ids":[1]}' }, engineWith(), marked(1)],
  [
    "option over variable over engine",
    { healthCheckPayload: ' {"token_ids":[1]} ', healthCheckEnvPayload: '{"token_ids":[2]}' },
    asks(3),
    marked(1),
  ],
  ["option with a file", { healthCheckPayload: " @/probe.json" }, asks(3), marked(9)],
  ["option as an object of code", { healthCheckPayload: { token_ids: [4] } }, asks(3), marked(4)],
  ["empty option", { healthCheckPayload: "", healthCheckEnvPayload: '{"token_ids":[2]}' }, asks(3), marked(2)],
  ["an empty object replaces the engine's", { healthCheckEnvPayload: "{}" }, asks(3), { _HEALTH_CHECK: true }],
  ["the marker cannot be unset", { healthCheckPayload: '{"_HEALTH_CHECK":false}' }, asks(3), { _HEALTH_CHECK: true }],
  [
    "long integers survive",
    { healthCheckPayload: '{"routing":{"backend_instance_id":9223372036854775809}}' },
    asks(3),
    { routing: { backend_instance_id: 9223372036854775809n }, _HEALTH_CHECK: true },
  ],
];
for (const [name, settings, engine, expected] of precedence) {
  test(`payload: ${name}`, async () => {
    const { payload, warnings } = await resolve(settings, engine);
    assert.deepEqual(payload, expected);
    assert.deepEqual(warnings, []);
  });
}

for (
  const healthCheckEnvPayload of ["{", "[1]", "null", "7", "@/none.json", "@/list.json", "@/text.json", "@/latin1.json"]
) {
  test(`a variable of ${healthCheckEnvPayload} is ignored with one warning; the engine's payload is sent`, async () => {
    const { payload, warnings } = await resolve({ healthCheckEnvPayload }, asks(3));
    assert.deepEqual(payload, marked(3));
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /DYN_HEALTH_CHECK_PAYLOAD is ignored/);
  });
}

const usage: readonly (readonly [string, RegExp])[] = [
  ["{", /^--health-check-payload: the value is no JSON; a file is named as @path$/],
  ["/probe.json", /no JSON; a file is named as @path$/],
  ["@/none.json", /^--health-check-payload: cannot read \/none\.json: ENOENT$/],
  ["@/text.json", /^--health-check-payload: \/text\.json holds no JSON$/],
  ["@/latin1.json", /^--health-check-payload: cannot read \/latin1\.json: /],
];
for (const [healthCheckPayload, message] of usage) {
  test(`an option of ${healthCheckPayload} is bad usage, whatever the variable holds`, async () => {
    const settings = { healthCheckPayload, healthCheckEnvPayload: '{"token_ids":[2]}' };
    await assert.rejects(readSetPayload(settings, files, recorder().log), (error) => {
      assert.ok(error instanceof UsageError);
      assert.match(error.message, message);
      return true;
    });
  });
}

test("a file that is not there is told in the same words by the real file system", async () => {
  const reading = readSetPayload({ healthCheckPayload: "@/no/such/file.json" }, realPlatform.files, recorder().log);
  await assert.rejects(reading, { name: "UsageError", message: /cannot read \/no\/such\/file\.json: ENOENT$/ });
});

for (
  const [name, settings, engine, type] of [
    ["an option", { healthCheckPayload: "[1]" }, asks(3), "array"],
    ["an option", { healthCheckPayload: "null" }, asks(3), "null"],
    ["an option of code", { healthCheckPayload: 7 }, asks(3), "number"],
    ["an engine", {}, engineWith(() => [1]), "array"],
    ["an engine", {}, engineWith(() => "probe"), "string"],
  ] as const
) {
  test(`${name} with a payload of type ${type} switches the canary off with one warning`, async () => {
    const { payload, warnings } = await resolve(settings, engine);
    assert.equal(payload, null);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, new RegExp(`no JSON object; the canary is off.*${type}`));
  });
}

test("an engine whose hook throws has no canary, with one warning that says why", async () => {
  const { payload, warnings } = await resolve(
    {},
    engineWith(() => {
      throw new Error("no tokenizer");
    }),
  );
  assert.equal(payload, null);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /healthCheckPayload\(\) failed.*no tokenizer/);
});

test("the engine is not asked when an operator has set a payload", async () => {
  const engine = engineWith(() => assert.fail("asked"));
  const { payload, warnings } = await resolve({ healthCheckEnvPayload: '{"token_ids":[2]}' }, engine);
  assert.deepEqual([payload, warnings], [marked(2), []]);
});

test("the payload an engine returned is not written to", async () => {
  const own = Object.freeze({ token_ids: [1] });
  const { payload } = await resolve({}, engineWith(() => own));
  assert.deepEqual(own, { token_ids: [1] });
  assert.deepEqual(payload, marked(1));
});
