import assert from "node:assert/strict";
import { test } from "node:test";
import { builtinModelFiles } from "../../src/model/builtin.ts";
import { hostedCardFiles, modelFilesOf } from "../../src/model/folder.ts";
import { ModelStore } from "../../src/model/store.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { buildModelCard } from "../../src/protocol/card_build.ts";
import type { ModelCard } from "../../src/protocol/model_card.ts";

const { clock } = realPlatform;
const noFetch = () => Promise.reject(new Error("no network"));

async function card(origin: string): Promise<ModelCard> {
  const model = await modelFilesOf("tiny", builtinModelFiles());
  return buildModelCard({ engine: { model: "tiny" }, files: hostedCardFiles(model, origin, "/m") });
}

/** The built-in model's file that a path or URL ends with. */
function fileOf(path: string): Uint8Array {
  return builtinModelFiles().get(path.slice(path.lastIndexOf("/") + 1))!;
}

test("load() reads local files and URLs alike, each once", async () => {
  const read: string[] = [];
  const local = new ModelStore({
    clock,
    fetch: noFetch,
    files: {
      read: (path) => {
        read.push(path);
        return Promise.resolve(fileOf(path));
      },
    },
  });
  const model = await local.load(await card("file://"));
  assert.equal(await local.load(await card("")), model);
  assert.deepEqual(read.sort(), [
    "/m/config.json",
    "/m/generation_config.json",
    "/m/tokenizer.json",
    "/m/tokenizer_config.json",
  ]);
  assert.deepEqual(model.eosTokenIds, [257]);
  assert.ok(model.template);

  const remote = new ModelStore({
    clock,
    files: { read: () => Promise.reject(new Error("no disk")) },
    fetch: (url) => Promise.resolve(new Response(fileOf(url).slice())),
  });
  assert.deepEqual((await remote.load(await card("http://worker:1"))).tokenizer.encode("a"), [64]);
});

test("load() refuses a file that differs from its checksum, and tries anew the next time", async () => {
  let isBroken = true;
  const files = { read: (path: string) => Promise.resolve(isBroken ? new Uint8Array(3) : fileOf(path)) };
  const store = new ModelStore({ clock, fetch: noFetch, files });
  const one = await card("");
  await assert.rejects(store.load(one), { message: /checksum/ });
  isBroken = false;
  assert.ok(await store.load(one));
});

test("load() names the file that a worker does not serve, or that is too long", async () => {
  const files = { read: () => Promise.reject(new Error("no disk")) };
  const missing = new ModelStore({ clock, files, fetch: () => Promise.resolve(new Response("x", { status: 404 })) });
  await assert.rejects(missing.load(await card("http://w")), { message: /http:\/\/w\/m\/.*HTTP 404/ });
  const long = new Uint8Array(20_000);
  const tooLong = new ModelStore({ clock, files, fetch: () => Promise.resolve(new Response(long)) });
  await assert.rejects(tooLong.load(await card("http://w")), { message: /bytes are more than/ });
});

test("load() says so when a card names no tokenizer", async () => {
  const store = new ModelStore({ clock, fetch: noFetch, files: { read: noFetch } });
  const bare = buildModelCard({ engine: { model: "bare" } });
  await assert.rejects(store.load(bare), { message: /bare.*tokenizer\.json/ });
});
