/**
 * A prefill and a decode engine that can meet, in memory and in virtual time.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { GenerateContext } from "@stator/worker";
import { MemoryBootstrapNet } from "./memory_bootstrap_net.ts";
import { type MockerRig, startMockerRigOn, type TimedChunk } from "./mocker_rig.ts";

/** Where prefill engines listen. */
export const PORT = 7000;
/** A token takes a millisecond from one to the other. */
export const TRANSFER = ["--block-size", "16", "--kv-bytes-per-token", "1000", "--kv-transfer-bandwidth", "0.001"];
/** How an answer ended. */
export const end = (chunks: readonly TimedChunk[]) => chunks.at(-1)?.chunk.finish_reason;
/** The words of an answer that failed. */
export const failure = (chunks: readonly TimedChunk[]) =>
  String((end(chunks) as { error?: string } | undefined)?.error);

/** Rendezvous of a request; each number is another. */
export function meeting(number: number, port = PORT) {
  const handoff_id = `af1d385b-898e-4f36-baf1-${number.toString(16).padStart(12, "0")}`;
  return { bootstrap_host: "10.0.0.1", bootstrap_port: port, bootstrap_room: 2n ** 62n + BigInt(number), handoff_id };
}

/** A prefill and a decode engine on one network. */
export async function bothEngines(...flags: string[]) {
  const net = new MemoryBootstrapNet();
  const all = [...TRANSFER, ...flags];
  const prefill = await startMockerRigOn(
    net,
    ...["--disaggregation-mode", "prefill", "--bootstrap-ports", String(PORT)],
    ...all,
  );
  const decode = await startMockerRigOn(net, "--disaggregation-mode", "decode", ...all);
  return { net, prefill, decode };
}

/** One leg of a request. */
export async function leg(
  rig: MockerRig,
  number: number,
  prompt: readonly number[],
  ctx: Partial<GenerateContext> = {},
  max_tokens = 4,
): Promise<TimedChunk[]> {
  const body = { stop_conditions: { max_tokens }, bootstrap_info: meeting(number) };
  return await rig.ask(prompt, body, rig.context({ id: `request-${number}`, ...ctx }));
}

/** Lets happen what is ready; in a turn where nothing is, virtual time would go on to the next deadline. */
export async function aMoment(net: MemoryBootstrapNet): Promise<void> {
  await net.clock.sleepUntil(net.clock.now() + 1);
}

/** Nothing is left of any request: no stream, no block, no connection, no alarm. */
export async function assertNothingLeft(net: MemoryBootstrapNet, ...rigs: readonly MockerRig[]): Promise<void> {
  for (const rig of rigs) {
    assert.equal(await rig.engine.isQuiescent?.(), true);
    const text = await rig.engine.metricsSources?.()[0]?.expfmt?.() ?? "";
    assert.doesNotMatch(text, /:num_(?:requests_running|running_reqs|requests_waiting|queue_reqs)\{[^}]*\} [^0]/);
    assert.doesNotMatch(text, /^vllm:kv_cache_usage_perc\{[^}]*\} (?!0$)/m);
    await rig.engine.cleanup();
  }
  await net.clock.nextTurn();
  assert.equal(net.open, 0, "connections, sockets and alarms");
}
