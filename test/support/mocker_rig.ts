/**
 * A live mock engine in virtual time, with everything it publishes.
 *
 * @module
 */
import {
  type Engine,
  type ForwardPass,
  type GenerateChunk,
  type GenerateContext,
  type KvEventPublisher,
  type KvItem,
  parseWorkerArgs,
} from "@stator/worker";
import { module } from "@stator/worker/engines/mocker";
import { fakeContext } from "@stator/worker/testing";
import { createEngineClock } from "../../src/pipeline/engine_clock.ts";
import { parseRequest } from "../../src/protocol/request.ts";
import { VirtualClock } from "../../src/testing/virtual_clock.ts";
import { FakeClock } from "./fake_clock.ts";

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
  const { engine } = await parseWorkerArgs(flags, module);
  const clock = createEngineClock(new VirtualClock(new FakeClock()));
  const told: Told[] = [];
  await engine.start(1n, new AbortController().signal);
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
