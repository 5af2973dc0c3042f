import assert from "node:assert/strict";
import { test } from "node:test";
import { watchInstances } from "../../src/client/watch.ts";
import { MemStore, openMemDiscovery } from "../../src/discovery/mem.ts";
import type { Discovery } from "../../src/discovery/discovery.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { buildModelCard } from "../../src/protocol/card_build.ts";
import { encodeInstance, encodeModel, type EndpointName, instanceKey, modelKey } from "../../src/protocol/record.ts";

const NAME: EndpointName = { namespace: "dynamo", component: "sample", endpoint: "generate" };

async function putCard(discovery: Discovery, id: bigint, model: string, aliases: string[] = []): Promise<void> {
  const card_json = { ...buildModelCard({ engine: { model, modelAliases: aliases } }) };
  await discovery.put(modelKey(NAME, id), encodeModel({ ...NAME, instance_id: id, card_json }));
}

async function putEndpoint(discovery: Discovery, id: bigint, name = NAME): Promise<void> {
  const transport = { tcp: `127.0.0.1:1/${id.toString(16)}/x/y/z` };
  await discovery.put(instanceKey(name, id), encodeInstance({ ...name, instance_id: id, transport }));
}

function open(): Promise<Discovery> {
  return openMemDiscovery(new MemStore(), realPlatform);
}

test("a model is live when its card and its endpoint are there, in either order, also before the watch", async () => {
  await using discovery = await open();
  await putCard(discovery, 1n, "a");
  await using watch = await watchInstances(discovery);
  assert.equal(watch.models.length, 0);
  await putEndpoint(discovery, 1n);
  assert.deepEqual(watch.models.map((model) => model.name), ["a"]);
  await putEndpoint(discovery, 2n);
  assert.equal(watch.find("b"), undefined);
  await putCard(discovery, 2n, "b", ["c"]);
  assert.deepEqual(watch.models.map((model) => model.name), ["a", "b", "c"]);
  assert.equal(watch.find("c")?.workers[0]?.instance.instance_id, 2n);
});

test("a model is gone when its endpoint is, and left is told which", async () => {
  await using discovery = await open();
  const left: bigint[] = [];
  await using watch = await watchInstances(discovery, { left: ({ instance_id }) => left.push(instance_id) });
  const id = 0xfedc_ba98_7654_3210n;
  await putCard(discovery, id, "a");
  await putEndpoint(discovery, id);
  await putEndpoint(discovery, id, { ...NAME, endpoint: "other" });
  assert.equal(watch.instances.length, 2);
  await discovery.delete(instanceKey(NAME, id));
  assert.equal(watch.models.length, 0);
  assert.deepEqual(left, [id]);
  assert.equal(watch.pick("a"), undefined);
});

test("pick() takes the workers of a model in turn", async () => {
  await using discovery = await open();
  await using watch = await watchInstances(discovery);
  for (const id of [1n, 2n, 3n]) {
    await putCard(discovery, id, "a");
    await putEndpoint(discovery, id);
  }
  const picked = Array.from({ length: 6 }, () => watch.pick("a")?.instance.instance_id);
  assert.deepEqual(picked, [1n, 2n, 3n, 1n, 2n, 3n]);
});

test("watchInstances() with a name knows that model only", async () => {
  await using discovery = await open();
  await putCard(discovery, 1n, "a");
  await putCard(discovery, 2n, "b");
  await putEndpoint(discovery, 1n);
  await putEndpoint(discovery, 2n);
  await using watch = await watchInstances(discovery, { name: "b" });
  assert.deepEqual(watch.models.map((model) => model.name), ["b"]);
});

test("whenLive() resolves when the model comes, rejects when the signal aborts", async () => {
  await using discovery = await open();
  await using watch = await watchInstances(discovery);
  const coming = watch.whenLive("a");
  const control = new AbortController();
  const never = assert.rejects(watch.whenLive("b", control.signal), { message: "enough" });
  await putCard(discovery, 1n, "a");
  await putEndpoint(discovery, 1n);
  assert.equal((await coming).name, "a");
  assert.equal((await watch.whenLive("a")).name, "a");
  control.abort(new Error("enough"));
  await never;
});

test("a record that cannot be read is told and ignored", async () => {
  await using discovery = await open();
  const told: string[] = [];
  await using watch = await watchInstances(discovery, { unreadable: (path) => told.push(path) });
  await discovery.put(instanceKey(NAME, 1n), "{");
  await discovery.put(modelKey(NAME, 1n), '{"type":"Endpoint"}');
  await putCard(discovery, 2n, "a");
  await putEndpoint(discovery, 2n);
  assert.deepEqual(told, ["dynamo/sample/generate/1", "dynamo/sample/generate/1"]);
  assert.equal(watch.models.length, 1);
});
