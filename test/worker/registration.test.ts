import assert from "node:assert/strict";
import { test } from "node:test";
import { MemStore, openMemDiscovery } from "../../src/discovery/mem.ts";
import type { Discovery } from "../../src/discovery/discovery.ts";
import { SILENT } from "../../src/observe/log.ts";
import { buildModelCard } from "../../src/protocol/card_build.ts";
import { decodeInstance, decodeModel } from "../../src/protocol/record.ts";
import { deviceType, register } from "../../src/worker/registration.ts";

const name = { namespace: "dynamo", component: "backend", endpoint: "generate" };
const card = buildModelCard({ engine: { model: "m" }, sourcePath: "m" });
const input = { name, card, transport: { tcp: "127.0.0.1:1/x" }, codec: "msgpack", deviceType: "cpu" } as const;
const random = { number: () => 0, u64: () => 0xfedc_ba98_7654_3210n, uuid: () => "" };

async function open() {
  const store = new MemStore();
  const discovery = await openMemDiscovery(store, { random });
  const calls: string[] = [];
  const spied: Discovery = {
    ...discovery,
    put: (key, value) => (calls.push(`put ${key.bucket}`), discovery.put(key, value)),
    delete: (key) => (calls.push(`delete ${key.bucket}`), discovery.delete(key)),
  };
  return { store, discovery, spied, calls };
}

test("register() puts the card, then the endpoint; withdraw() deletes the endpoint and leaves the card", async () => {
  const { store, spied, calls } = await open();
  const registration = await register(spied, input, SILENT);
  const [instance] = store.list("v1/instances");
  const [model] = store.list("v1/mdc");
  assert.equal(instance!.key.path, "dynamo/backend/generate/fedcba9876543210");
  assert.match(instance!.value, /"instance_id":18364758544493064720/);
  assert.deepEqual(decodeInstance(instance!.value), {
    ...name,
    instance_id: 0xfedc_ba98_7654_3210n,
    transport: input.transport,
    device_type: "cpu",
    request_plane_codec: "msgpack",
  });
  assert.equal(decodeModel(model!.value).instance_id, 0xfedc_ba98_7654_3210n);
  await registration.withdraw();
  assert.deepEqual(calls, ["put v1/mdc", "put v1/instances", "delete v1/instances"]);
  assert.equal(store.list("v1/mdc").length, 1);
});

test("register() fails if the endpoint cannot be put; the card is then the discovery's to delete", async () => {
  const { store, spied, discovery } = await open();
  const put: Discovery["put"] = (key, value) =>
    key.bucket === "v1/instances" ? Promise.reject(new Error("full")) : spied.put(key, value);
  await assert.rejects(register({ ...spied, put }, input, SILENT), { message: "full" });
  await discovery[Symbol.asyncDispose]();
  assert.equal(store.list("v1/mdc").length, 0);
});

const DEVICES: readonly [env: Record<string, string>, type: string][] = [
  [{}, "cuda"],
  [{ CUDA_VISIBLE_DEVICES: "0,1" }, "cuda"],
  [{ CUDA_VISIBLE_DEVICES: "" }, "cpu"],
  [{ CUDA_VISIBLE_DEVICES: "-1" }, "cpu"],
  [{ CUDA_VISIBLE_DEVICES: " None " }, "cpu"],
  [{ NVIDIA_VISIBLE_DEVICES: "void" }, "cpu"],
  [{ NVIDIA_VISIBLE_DEVICES: "none" }, "cpu"],
  [{ NVIDIA_VISIBLE_DEVICES: "all" }, "cuda"],
  [{ NVIDIA_VISIBLE_DEVICES: "" }, "cuda"],
];

for (const [env, type] of DEVICES) {
  test(`deviceType() of ${JSON.stringify(env)} is ${type}`, () => assert.equal(deviceType(env), type));
}
