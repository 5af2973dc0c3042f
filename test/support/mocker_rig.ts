/**
 * A live mock engine in virtual time, with everything it publishes.
 *
 * @module
 */
import {
  type Engine,
  type EngineConfig,
  type ForwardPass,
  type GenerateChunk,
  type GenerateContext,
  type KvEventPublisher,
  type KvItem,
  type OptionValues,
  parseWorkerArgs,
} from "@stator/worker";
import { module } from "@stator/worker/engines/mocker";
import { fakeContext } from "@stator/worker/testing";
import { createLiveEngine } from "../../engines/mocker/live/live_engine.ts";
import { settingsOf } from "../../engines/mocker/live/option_values.ts";
import { parseRequest } from "../../src/protocol/request.ts";
import { MemoryBootstrapNet } from "./memory_bootstrap_net.ts";

/** What happened, in order. */
export type Told =
  | { readonly kind: "events"; readonly rank: number; readonly items: readonly KvItem[] }
  | { readonly kind: "pass"; readonly rank: number; readonly pass: ForwardPass }
  | { readonly kind: "load"; readonly rank: number; readonly used: number }
  | { readonly kind: "chunk"; readonly at: number; readonly chunk: GenerateChunk };

/** A chunk with its time. */
export interface TimedChunk {
  readonly at: number;
  readonly chunk: GenerateChunk;
}

/** The rig. */
export interface MockerRig {
  readonly engine: Engine;
  /** What it said when it started. */
  readonly config: EngineConfig;
  readonly told: readonly Told[];
  now(): number;
  context(members?: Partial<GenerateContext>): GenerateContext;
  /** Starts a stream of a prompt; `body` has further members of the request. */
  stream(prompt: readonly number[], body?: object, ctx?: GenerateContext): AsyncIterable<GenerateChunk>;
  /** All chunks of an answer, with the times they came at. */
  ask(prompt: readonly number[], body?: object, ctx?: GenerateContext): Promise<TimedChunk[]>;
}

/** Starts an engine with flags. */
export async function startMockerRig(...flags: string[]): Promise<MockerRig> {
  return await startMockerRigOn(new MemoryBootstrapNet(), ...flags);
}

/** Starts one of several engines that share their time and can meet. */
export async function startMockerRigOn(net: MemoryBootstrapNet, ...flags: string[]): Promise<MockerRig> {
  const create = async (values: OptionValues) => createLiveEngine(await settingsOf(values), net);
  const { engine } = await parseWorkerArgs(flags, { ...module, create });
  const { clock } = net;
  const told: Told[] = [];
  const config = await engine.start(1n, new AbortController().signal, fakeContext({ clock }));
  for (const source of await engine.kvEventSources?.() ?? []) {
    const rank = source.dpRank ?? 0;
    const publishBatch = (items: readonly KvItem[]) => void told.push({ kind: "events", rank, items: copied(items) });
    if (source.kind === "push") await source.onReady({ dpRank: rank, publishBatch } as KvEventPublisher);
  }
  engine.attachSnapshotPublisher?.({
    publish: (rank, { kvUsedBlocks }) => void told.push({ kind: "load", rank, used: kvUsedBlocks }),
  });
  engine.attachForwardPassPublisher?.({ publish: (rank, pass) => void told.push({ kind: "pass", rank, pass }) });
  const context = (members = {}) => fakeContext({ clock, ...members });
  const stream = (prompt: readonly number[], body = {}, ctx = context()) =>
    engine.generate(parseRequest({ token_ids: prompt, stop_conditions: { max_tokens: 4 }, ...body }), ctx);
  return {
    engine,
    config,
    told,
    now: () => clock.now(),
    context,
    stream,
    async ask(prompt, body, ctx) {
      const chunks: TimedChunk[] = [];
      for await (const chunk of stream(prompt, body, ctx)) {
        chunks.push({ at: clock.now(), chunk });
        told.push({ kind: "chunk", at: clock.now(), chunk });
      }
      return chunks;
    },
  };
}

/** Items are only valid during the call. */
function copied(items: readonly KvItem[]): KvItem[] {
  return items.map((item) => item.type === "cleared" ? item : { ...item, blockHashes: [...item.blockHashes!] });
}

/** A prompt that shares nothing with one of another seed. */
export function promptOf(seed: number, length: number): number[] {
  return Array.from({ length }, (_, i) => 1 + seed * 1009 + i);
}
