/**
 * Prefill and decode workers behind Dynamo's own frontend answer one chat together, ours and Dynamo's mixed; an encode
 * worker and another do too.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { GenerateRequest } from "../../src/protocol/request.ts";
import { CHAT, chat, type Frontend, startFrontend } from "../support/frontend.ts";
import { requirePeers, TINY_MODEL } from "../support/peers.ts";
import { type Child, until } from "../support/processes.ts";
import { startPythonWorker } from "../support/python_worker.ts";
import { recorded, RECORDING_WORKER } from "../support/recorded.ts";
import { startStator } from "../support/stator.ts";
import { makeStore, type Store } from "../support/store.ts";

type Maker = "stator" | "python";
type Role = "prefill" | "decode" | "encode";

/** A PNG of one pixel. */
const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const PAIRS: readonly (readonly [prefill: Maker, decode: Maker])[] = [
  ["stator", "stator"],
  ["python", "stator"],
  ["stator", "python"],
];

for (const [prefillMaker, decodeMaker] of PAIRS) {
  test(
    `a ${prefillMaker} prefill and a ${decodeMaker} decode worker answer one chat`,
    { timeout: 120_000 },
    async (t) => {
      if (!requirePeers(t)) return;
      using store = makeStore("disaggregated");
      await using frontend = await startFrontend(store);
      await using prefill = await start(store, prefillMaker, "prefill");
      await using decode = await start(store, decodeMaker, "decode");
      const { id, text } = await askBoth(frontend, store);
      assert.equal(text, `"#$`, "the decode worker answers from the first token on");
      const legs = [prefillMaker === "stator" ? prefill : undefined, decodeMaker === "stator" ? decode : undefined];
      const [first, second] = await Promise.all(legs.map((worker) => worker && requestOf(worker, id)));
      if (prefillMaker === "stator") {
        assert.equal(first?.stop_conditions.max_tokens, 1);
        assert.equal(first.prefill_result, undefined);
      }
      if (decodeMaker === "stator") {
        assert.equal(second?.stop_conditions.max_tokens, 3);
        const { disaggregated_params: params } = second.prefill_result as Record<string, Record<string, unknown>>;
        assert.deepEqual(params?.completed_tokens, [1]);
        assert.match(String(params?.sample_handle), /^[0-9a-f]{32}$/, "what the prefill engine made up, unchanged");
      }
      if (first !== undefined && second !== undefined) assert.deepEqual(first.token_ids, second.token_ids);
    },
  );
}

test("prefill and decode meet at the address that the prefill worker advertises", { timeout: 120_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("bootstrap");
  await using frontend = await startFrontend(store);
  const env = { STATOR_TEST_BOOTSTRAP_PORT: "8998" };
  await using prefill = await start(store, "stator", "prefill", env);
  await using decode = await start(store, "stator", "decode", env);
  const { id, text } = await askBoth(frontend, store);
  assert.equal(text, `"#$`);
  const legs = await Promise.all([requestOf(prefill, id), requestOf(decode, id)]);
  const [meeting, same] = legs.map((leg) => leg.bootstrap_info as Record<string, unknown>);
  assert.deepEqual(meeting, same, "host, port, room and hand-off are those of the other leg");
  assert.deepEqual([meeting?.bootstrap_host, meeting?.bootstrap_port], ["127.0.0.1", 8998]);
  assert.ok(BigInt(meeting?.bootstrap_room as bigint) > 0n);
  assert.equal(legs[1]?.prefill_result, undefined, "nobody waits for the prefill");
});

test("an image goes through an encode worker to the one that answers", { timeout: 120_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("encode");
  await using frontend = await startFrontend(store);
  await using encode = await start(store, "stator", "encode");
  await using agg = await startStator(store, {
    program: RECORDING_WORKER,
    args: ["--component", "agg", "--delay", "0", "--route-to-encoder"],
  });
  await frontend.listed(TINY_MODEL);
  const url = `data:image/png;base64,${PIXEL}`;
  const content = [{ type: "text", text: "look" }, { type: "image_url", image_url: { url } }];
  const body = { model: TINY_MODEL, max_tokens: 2, messages: [{ role: "user", content }] };
  let answer = await frontend.post(CHAT, body);
  await until("an answer by both", 20_000, async () => (answer = await frontend.post(CHAT, body)).status === 200)
    .catch(() => assert.fail(JSON.stringify(answer.body)));
  const id = String(answer.body.id).replace(/^chatcmpl-/, "");
  const legs = await Promise.all([requestOf(encode, id), requestOf(agg, id)]);
  for (const leg of legs) assert.deepEqual(leg.multi_modal_data, { image_url: [{ Url: url }] });
  assert.match(String(legs[1].encoder_result?.handle), /^sample-encoder:[0-9a-f]{32}$/);
  const { body: plain } = await frontend.post(CHAT, chat(TINY_MODEL, "text", { max_tokens: 2 }));
  assert.equal(recorded(encode).some((one) => `chatcmpl-${one.id}` === plain.id), false, "a text needs no encoder");
});

/** Starts a worker of a role; it need not be ready. */
function start(store: Store, maker: Maker, role: Role, env: Record<string, string> = {}): Promise<Child> {
  const args = ["--delay", "0", "--disaggregation-mode", role];
  if (maker === "python") {
    return Promise.resolve(startPythonWorker(store, { model: TINY_MODEL, component: role, args }));
  }
  return startStator(store, { program: RECORDING_WORKER, args: ["--component", role, ...args], env });
}

/** Waits for both cards and for the frontend to use both, then asks; checks the cards on the way. */
async function askBoth(frontend: Frontend, store: Store): Promise<{ id: string; text: string }> {
  for (const role of ["prefill", "decode"]) {
    await until(`the ${role} worker`, 30_000, () => store.keys(`/${role}/generate/`).length >= 2);
    const card = store.records().find(({ key }) => key.startsWith(`v1/mdc/dynamo/${role}/`));
    assert.match(card?.text ?? "", new RegExp(`"worker_type":"${role}"`));
  }
  await frontend.listed(TINY_MODEL);
  let id = "", text = "";
  // A frontend that has seen one leg only refuses, or leaves the other out.
  await until("an answer by both", 20_000, async () => {
    const { status, body } = await frontend.post(CHAT, chat(TINY_MODEL, "hello", { max_tokens: 3 }));
    if (status !== 200) return false;
    id = String(body.id).replace(/^chatcmpl-/, "");
    text = body.choices[0].message.content;
    return true;
  });
  return { id, text };
}

/** The request of one leg; with a rendezvous the answer does not wait for the prefill leg. */
async function requestOf(worker: Child, id: string): Promise<GenerateRequest> {
  const find = () => recorded(worker).find((one) => one.id === id);
  await until(`${worker.name} to get request ${id}`, 5_000, () => find() !== undefined);
  return find()!.request;
}
