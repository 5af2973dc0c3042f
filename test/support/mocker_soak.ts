/**
 * A live mock engine under load for hours of virtual time, and what is left in it.
 *
 * @module
 */
import type { Engine, EngineClock, KvItem } from "@stator/worker";
import { parseLaunchArgs } from "../../engines/mocker/launch_args.ts";
import type { RankPass } from "../../engines/mocker/engine_group.ts";
import { engineOn } from "../../engines/mocker/live/live_engine.ts";
import { LiveGroup } from "../../engines/mocker/live/live_group.ts";
import type { MockerSettings } from "../../engines/mocker/live/settings.ts";
import { fakeContext } from "../../src/testing/context.ts";
import { createEngineClock } from "../../src/pipeline/engine_clock.ts";
import { parseRequest } from "../../src/protocol/request.ts";
import { dice } from "./mock_requests.ts";
import { SwiftClock } from "./swift_clock.ts";

/** How long, and how hard. */
export interface SoakPlan {
  /** Engine arguments in the peer's form. */
  readonly args: unknown;
  /** Clients for each rank, each with one request after the other. */
  readonly clients: number;
  /** Virtual time under load. @unit milliseconds */
  readonly durationMs: number;
  /** Virtual time between two notes. @unit milliseconds */
  readonly noteEveryMs: number;
  /** Bytes of the heap that are in use; none: not noted. @unit bytes */
  readonly heapUsed?: () => number;
  /** Told of each note. */
  readonly onNote?: (note: SoakNote) => void;
}

/** How things stand after a stretch of time. */
export interface SoakNote {
  /** Virtual time. @unit milliseconds */
  readonly atMs: number;
  /** Requests that ended so far, by how they did. */
  readonly ends: Readonly<Record<string, number>>;
  /** Preempted requests so far. */
  readonly preemptions: number;
  /** Tokens that clients got so far. */
  readonly tokens: number;
  /** Most entries since the last note, of everything that grows and shrinks; all ranks together. */
  readonly most: Readonly<Record<string, number>>;
  /** Entries now. */
  readonly sizes: Readonly<Record<string, number>>;
  /** Bytes of the heap in use. @unit bytes */
  readonly heapBytes: number;
  /** Time that passed while there was work, beyond the modelled durations of the passes. @unit nanoseconds */
  readonly driftNs: number;
  /** Most that sums of so many binary fractions may be off. @unit nanoseconds */
  readonly roundingNs: number;
  /** Latest that a pass was noticed after its end, since the beginning. @unit milliseconds */
  readonly latestMs: number;
}

const NS_PER_MS = 1e6;
/** Less than a request needs on average, its share of common prefixes included. */
const BLOCKS_OF_A_CLIENT = 11.25;
/** One request in so many is given up. */
const GIVEN_UP = 8;
/** Prompts begin with one of so many. */
const PREFIXES = 6;

/** Runs a load to its end and on until all is quiet; the last note is of then. */
export async function soak(plan: SoakPlan): Promise<SoakNote[]> {
  const time = new SwiftClock();
  const clock = createEngineClock(time);
  const settings = settingsOf(plan.args);
  const group = new SoakGroup(settings);
  const engine = engineOn(group, settings);
  for (const source of await engine.kvEventSources?.() ?? []) {
    const publishBatch = (items: readonly KvItem[]) => group.mirror(source.dpRank ?? 0, items);
    if (source.kind === "push") await source.onReady({ dpRank: source.dpRank ?? 0, publishBatch } as never);
  }
  const notes: SoakNote[] = [];
  const note = () => {
    notes.push({ ...group.note(plan.heapUsed), atMs: clock.now() });
    plan.onNote?.(notes.at(-1)!);
  };
  const clients = Array.from(
    { length: plan.clients * settings.launch.dp_size },
    (_, i) => askUntil(plan.durationMs, engine, clock, group, i),
  );
  const watch = async () => {
    for (let at = plan.noteEveryMs; at <= plan.durationMs; at += plan.noteEveryMs) {
      await clock.sleepUntil(at);
      note();
    }
  };
  const watched = watch();
  await time.run();
  await Promise.all([...clients, watched]);
  note();
  await engine.cleanup();
  return notes;
}

/** Asks one thing after the other; some requests are given up on the way. */
async function askUntil(endMs: number, engine: Engine, clock: EngineClock, group: SoakGroup, seed: number) {
  const random = dice(seed + 1);
  for (let turn = 0; clock.now() < endMs; turn++) {
    await clock.sleepUntil(clock.now() + random(40));
    const control = new AbortController();
    const isGivenUp = random(GIVEN_UP) === 0;
    const request = parseRequest({
      token_ids: promptOf(random(PREFIXES), random(12), random(2 ** 24), random(200)),
      stop_conditions: { max_tokens: 1 + random(120) },
    });
    if (isGivenUp) clock.sleepUntil(clock.now() + random(1500), control.signal).then(() => control.abort());
    let end = "nothing";
    for await (const chunk of engine.generate(request, fakeContext({ id: "", clock, signal: control.signal }))) {
      group.tokens += chunk.token_ids.length;
      if (chunk.finish_reason !== undefined) end = `${chunk.finish_reason}`;
    }
    group.ends[end] = (group.ends[end] ?? 0) + 1;
    // A client that was faster than its patience does not leave a timer.
    control.abort();
  }
}

/** Tokens of one of the shared prefixes, of what some share, and own ones. */
function promptOf(prefix: number, topic: number, own: number, length: number): number[] {
  return [
    ...Array.from({ length: 64 }, (_, i) => 1 + prefix * 100 + i),
    ...Array.from({ length: 16 }, (_, i) => 10_000 + topic * 100 + i),
    ...Array.from({ length }, (_, i) => 100_000 + own + i),
  ];
}

/** The schedulers, with a count of what is in them after every pass. */
class SoakGroup extends LiveGroup {
  tokens = 0;
  readonly ends: Record<string, number> = {};
  readonly #resident: Set<bigint>[] = [];
  #most: Record<string, number> = {};
  /** When the first of the passes began that followed each other without a pause; none: there is no work. */
  #busySince: number | undefined;
  #modelledNs = 0;
  #driftNs = 0;
  #roundingNs = 1;
  #driftBefore = 0;
  #latestMs = 0;

  override passed(passes: readonly RankPass[], now: number): void {
    const startMs = passes[0]!.pass.startMs;
    const endMs = Math.max(...passes.map(({ pass }) => pass.endMs));
    this.#busySince ??= startMs;
    // Durations are whole nanoseconds and a day of them is far below 2^53, so the sum is exact.
    this.#modelledNs += Math.round((endMs - startMs) * NS_PER_MS);
    this.#driftNs = this.#driftBefore + Math.round((endMs - this.#busySince) * NS_PER_MS) - this.#modelledNs;
    this.#roundingNs += 2 ** (Math.floor(Math.log2(endMs)) - 53) * NS_PER_MS;
    this.#latestMs = Math.max(this.#latestMs, now - endMs);
    if (this.ranks.every(({ gauges: { running, waiting } }) => running + waiting === 0)) {
      this.#busySince = undefined;
      this.#modelledNs = 0;
      this.#driftBefore = this.#driftNs;
    }
    // Before events are taken, and after.
    this.#look();
    super.passed(passes, now);
    this.#look();
  }

  /** What a router believes to be cached; nothing is removed that was not stored. */
  mirror(rank: number, items: readonly KvItem[]): void {
    const resident = this.#resident[rank] ??= new Set();
    for (const item of items) {
      if (item.type === "cleared") throw new Error("nothing clears the cache");
      for (const hash of item.blockHashes ?? []) {
        if (item.type === "stored") resident.add(hash as bigint);
        else if (!resident.delete(hash as bigint)) throw new Error(`${hash} was removed but not there`);
      }
    }
  }

  #look(): void {
    for (const [name, size] of Object.entries(this.sizes())) this.#most[name] = Math.max(this.#most[name] ?? 0, size);
  }

  sizes(): Record<string, number> {
    const sum: Record<string, number> = { active: this.active, mirrored: 0, usedBlocks: 0, cachedBlocks: 0 };
    for (const { sizes, gauges: { activeBlocks, inactiveBlocks } } of this.ranks) {
      for (const [name, size] of Object.entries(sizes)) sum[name] = (sum[name] ?? 0) + size;
      sum["usedBlocks"]! += activeBlocks;
      sum["cachedBlocks"]! += inactiveBlocks;
    }
    for (const resident of this.#resident) sum["mirrored"]! += resident?.size ?? 0;
    return sum;
  }

  note(heapUsed: () => number = () => 0): Omit<SoakNote, "atMs"> {
    const most = this.#most;
    this.#most = {};
    return {
      ends: { ...this.ends },
      tokens: this.tokens,
      preemptions: this.ranks.reduce((sum, { gauges }) => sum + gauges.preemptions, 0),
      most,
      sizes: this.sizes(),
      heapBytes: heapUsed(),
      driftNs: this.#driftNs,
      roundingNs: this.#roundingNs,
      latestMs: this.#latestMs,
    };
  }
}

function settingsOf(args: unknown): MockerSettings {
  return {
    modelName: "soak",
    launch: parseLaunchArgs(args),
    cacheAnswers: false,
    answers: { firstTokenId: 1000, tokenIds: 1000, seed: 0, honourStops: false, eosRate: 0, reasoning: null },
    faults: { failRate: 0, hangRate: 0, stallRate: 0, stallSeconds: 0, seed: 0 },
    slowStartMs: 0,
  };
}

/** Configurations worth a long run, for so many clients a rank: pools so small that requests lose their blocks. */
export function soakArgs(clients: number): Record<string, unknown> {
  const engine = { block_size: 16, num_gpu_blocks: Math.ceil(BLOCKS_OF_A_CLIENT * clients), max_num_seqs: clients };
  const sglang = { schedule_policy: "lpm", clip_max_new_tokens: 16 };
  return {
    vllm: { dp_size: 2, engine },
    sglang: { dp_size: 2, engine: { ...engine, backend: "sglang", sglang } },
    drafting: { engine: { ...engine, max_num_batched_tokens: 256, preemption_mode: "fifo", aic_nextn: 2 } },
  };
}

/** What is left behind though the load has ended, and whose maxima grew from the first half to the second. */
export function soakFaults(notes: readonly SoakNote[]): string[] {
  const { sizes, driftNs, roundingNs } = notes.at(-1)!;
  const { cachedBlocks = 0, usedBlocks = 0, indexed = 0, heap = 0, told, mirrored = 0, ...others } = sizes;
  const faults = Object.entries(others).flatMap(([name, size]) => size === 0 ? [] : [`${size} of ${name} are left`]);
  // SGLang counts cached pages as used; elsewhere only requests use blocks.
  const cached = told === undefined ? cachedBlocks : usedBlocks;
  if (told === undefined && usedBlocks > 0) faults.push(`${usedBlocks} blocks are still used`);
  if (indexed > cached) faults.push(`${indexed} contents are indexed, ${cached} blocks cached`);
  if (mirrored > cached) faults.push(`routers believe in ${mirrored} blocks, ${cached} are cached`);
  if (Math.abs(driftNs) > roundingNs) faults.push(`the clock is ${driftNs} ns beyond the sum of its passes`);
  const under = notes.slice(0, -1);
  const half = under.length >> 1;
  const most = (part: readonly SoakNote[], name: string) => Math.max(...part.map((note) => note.most[name] ?? 0));
  for (const name of half === 0 ? [] : Object.keys(sizes)) {
    const [first, second] = [most(under.slice(0, half), name), most(under.slice(half), name)];
    if (second > first * GROWTH + SLACK) faults.push(`most ${name} grew from ${first} to ${second}`);
  }
  return heap > indexed * HEAP_PER_LEAF + MIN_HEAP ? [...faults, `${heap} entries of the heap are left`] : faults;
}

/** Maxima of a random load differ by about as much. */
const [GROWTH, SLACK] = [1.1, 24];
/** A radix tree keeps outdated entries up to this. */
const [HEAP_PER_LEAF, MIN_HEAP] = [3, 65];
