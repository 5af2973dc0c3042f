/** What the mock engine answers, and how many workers one process is, as Dynamo's own frontend sees them. */
import assert from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { CHAT, chat, COMPLETIONS, startFrontend } from "../support/frontend.ts";
import { startMocker } from "../support/mocker_load.ts";
import { DYNAMO_ALONE, notTwice, requirePeers, TINY_WORDS_MODEL } from "../support/peers.ts";
import { freePort, until } from "../support/processes.ts";
import { makeStore, type Store } from "../support/store.ts";
import { startZmq } from "../support/zmq_peer.ts";

const LIMIT = { timeout: 120_000 };
const REASONING = { start_thinking_token_id: 300, end_thinking_token_id: 301, thinking_ratio: 0.5 };
const PLANNED = { request_id: "planned", output_length: 3, output_token_ids: [2001, 2002, 2003] };

/** Dynamo's mocker has no flag for the parser of its card. */
const OWN_FLAGS = {
  stator: ["--served-model-name", "thinker", "--dyn-reasoning-parser", "qwen3"],
  dynamo: ["--model-name", "thinker"],
};
const words = (text: string | null) => (text ?? "").trim().split(/\s+/);

/** The model with words in the place of two tokens that a parser looks for. */
function thinkingModel(store: Store): string {
  const folder = join(store.path, "thinking-model");
  cpSync(TINY_WORDS_MODEL, folder, { recursive: true });
  const file = join(folder, "tokenizer.json");
  const text = readFileSync(file, "utf8").replace('"Ġw300"', '"<think>"').replace('"Ġw301"', '"</think>"');
  writeFileSync(file, text);
  return folder;
}

for (const maker of ["stator", "dynamo"] as const) {
  const skip = maker === "dynamo" && notTwice(DYNAMO_ALONE);
  test(`a frontend tells reasoning from answer, and gets planned ones: ${maker}`, { ...LIMIT, skip }, async (t) => {
    if (!requirePeers(t)) return;
    using store = makeStore("mocker-answers");
    const model = thinkingModel(store);
    const trace = join(store.path, "trace.jsonl");
    writeFileSync(trace, JSON.stringify(PLANNED));
    const flags = ["--reasoning", JSON.stringify(REASONING), "--response-replay-trace-path", trace];
    await using frontend = await startFrontend(store);
    await using _worker = await startMocker(store, maker, [...flags, ...OWN_FLAGS[maker]], {}, model);
    await frontend.listed("thinker");
    const ask = (more: object) => frontend.post(CHAT, chat("thinker", "hello", { max_tokens: 16, ...more }));
    await until("an answer", 30_000, async () => (await ask({})).status === 200);
    const message = async (more: object) => (await ask(more)).body.choices[0].message;
    const { reasoning_content: thoughts = null, content } = await message({});
    if (maker === "stator") {
      assert.deepEqual([words(thoughts).length, words(content).length], [6, 8], `${thoughts} / ${content}`);
      assert.ok([...words(thoughts), ...words(content)].every((word) => /^w1\d\d\d$/.test(word)));
    } else {
      assert.match(content, /^<think>( w\d+){6}<\/think>( w\d+){8}$/);
    }
    const planned = await message({ nvext: { annotations: ["output_replay_id:planned"] } });
    assert.deepEqual(words(planned.content), ["w2001", "w2002", "w2003"]);
  });
}

test("a frontend uses all workers of a process, and one signal ends them", LIMIT, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("mocker-workers");
  await using frontend = await startFrontend(store, {}, ["--router-mode", "round-robin"]);
  await using workers = await startMocker(store, "stator", ["--num-workers", "5", "--speedup-ratio", "100"]);
  await frontend.listed(TINY_WORDS_MODEL);
  const instances = () => store.keys("v1/instances/dynamo/backend/generate/").length;
  await until("all records", 20_000, () => instances() === 5);
  const used = new Set<string>();
  const body = {
    ...{ model: TINY_WORDS_MODEL, prompt: [1, 2, 3], max_tokens: 2 },
    nvext: { extra_fields: ["worker_id"] },
  };
  await until("all workers to have answered", 20_000, async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => frontend.post(COMPLETIONS, body)));
    for (const { status, body } of answers) if (status === 200) used.add(JSON.stringify(body.nvext?.worker_id));
    return used.size === 5;
  });
  workers.signal("SIGTERM");
  assert.equal((await workers.exit(30_000)).code, 0);
  assert.deepEqual(store.keys("v1/"), []);
});

test("a KV router and libzmq's sockets hear of blocks on fixed ports", LIMIT, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("mocker-zmq");
  await using frontend = await startFrontend(store, {}, ["--router-mode", "kv"]);
  const ports = await Promise.all(Array.from({ length: 4 }, () => freePort()));
  const [events, replays] = [ports.slice(0, 2).join(), ports.slice(2).join()];
  const flags = ["--num-workers", "2", "--block-size", "16", "--speedup-ratio", "100"];
  const zmq = ["--zmq-kv-events-ports", events, "--zmq-replay-ports", replays];
  await using _workers = await startMocker(store, "stator", [...flags, ...zmq]);
  await frontend.listed(TINY_WORDS_MODEL);
  await until("both records", 20_000, () => store.keys("v1/instances/dynamo/backend/generate/").length === 2);
  await using sub = startZmq("sub", `tcp://127.0.0.1:${ports[0]}`);
  await using other = startZmq("sub", `tcp://127.0.0.1:${ports[1]}`);
  const ask = async (seed: number) => {
    const prompt = Array.from({ length: 64 }, (_, i) => 300 + (seed * 131 + i * (3 + seed)) % 3000);
    const { status, body } = await frontend.post(COMPLETIONS, {
      ...{ model: TINY_WORDS_MODEL, prompt, max_tokens: 1 },
      nvext: { extra_fields: ["timing"] },
    });
    return { status, hitRate: body.nvext?.timing.kv_hit_rate };
  };
  await until("an answer", 20_000, async () => (await ask(0)).status === 200);
  await until("a prompt to be found whole", 10_000, async () => (await ask(0)).hitRate === 1);
  let seed = 1;
  const heard = () => [sub, other].find((child) => /^got - [0-9a-f]{16} 93cb/m.test(child.stdout()));
  await until("libzmq to hear of a batch", 20_000, async () => {
    await ask(seed++);
    return heard() !== undefined;
  });
  const replay = `tcp://127.0.0.1:${ports[heard() === sub ? 2 : 3]}`;
  await using asking = startZmq("ask", replay, { start: "0" });
  await asking.waitFor(/^done$/m, 10_000);
  assert.match(
    asking.stdout(),
    /^dealer - - 0{16} 93cb[0-9a-f]+\n(dealer - - [0-9a-f]{16} 93cb[0-9a-f]+\n)*dealer - - f{16} -\nreq - 0{16} 93cb/,
  );
});
