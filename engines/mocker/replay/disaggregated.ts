/**
 * Replay on two pools: one computes prompts, the other answers.
 *
 * @source aisimulate-core 0.13.0, `replay/disagg.rs`, `replay/handoff.rs`
 * @module
 */
import type { EngineArgs } from "../args.ts";
import type { EngineRequest } from "../engine_request.ts";
import type { RankPass } from "../engine_group.ts";
import { transferMs, transferTiming } from "../handoff.ts";
import { COMPLETED, type HandoffEvent, REJECTED, TOKEN } from "../pass.ts";
import type { Placement, PlacementPolicy } from "./placement.ts";
import type { Deployment, ReplayRun, RunParts } from "./replay_run.ts";
import type { TraceRow } from "./trace.ts";
import { WorkerPool } from "./worker_pool.ts";

/** Two pools and how a prompt gets from one to the other. */
export interface DividedDeployment {
  /** Workers that compute prompts. */
  readonly prefill: Deployment;
  /** Workers that answer. */
  readonly decode: Deployment;
  /** Whose bandwidth and bytes a token count. */
  readonly transferArgs: EngineArgs;
  /** Whether room is asked for after the prompt is computed rather than before. */
  readonly isSourceFirst: boolean;
}

type Step = "prefill" | "reserve" | "activate" | "release";

interface Action {
  readonly step: Step;
  readonly handoff: Handoff;
}

/** The way of one request through both pools. */
interface Handoff {
  readonly row: TraceRow;
  /** Place in the order of arrival. */
  readonly order: number;
  prefill: Placement | undefined;
  decode: Placement | undefined;
  source: EngineRequest | undefined;
  destination: EngineRequest | undefined;
  isHeld: boolean;
  missingTokens: number | undefined;
  isOver: boolean;
}

/** A pool with what has to wait for the end of a worker's pass, by worker and rank. */
interface Half {
  readonly pool: WorkerPool;
  readonly router: PlacementPolicy;
  readonly deferred: Action[][][];
}

/** Two pools, each behind a router. */
export class DisaggregatedReplay implements ReplayRun {
  readonly #parts: RunParts;
  readonly #deployment: DividedDeployment;
  readonly #prefill: Half;
  readonly #decode: Half;
  readonly #handoffs = new Map<number, Handoff>();
  #actions: Action[] = [];
  #arrived = 0;

  /** Prepares a run. */
  constructor(parts: RunParts, deployment: DividedDeployment) {
    this.#parts = parts;
    this.#deployment = deployment;
    this.#prefill = this.#half("prefill", deployment.prefill);
    this.#decode = this.#half("decode", deployment.decode);
  }

  arrive(row: TraceRow, nowMs: number): void {
    this.#parts.log.onArrival(row, nowMs);
    const handoff: Handoff = {
      row,
      order: this.#arrived++,
      prefill: undefined,
      decode: undefined,
      source: undefined,
      destination: undefined,
      isHeld: false,
      missingTokens: undefined,
      isOver: false,
    };
    this.#handoffs.set(row.index, handoff);
    this.#actions.push({ step: this.#deployment.isSourceFirst ? "prefill" : "reserve", handoff });
  }

  get nextCopyMs(): number {
    return Math.min(this.#prefill.pool.nextMs, this.#decode.pool.nextMs);
  }

  settleEvents(nowMs: number): boolean {
    const { clock } = this.#parts;
    let changed = this.#endCopies(nowMs);
    for (let due = clock.takePassEnd(); due !== undefined; due = clock.takePassEnd()) {
      due.pool.end(due.worker, nowMs);
      changed = true;
    }
    if (this.#endCopies(nowMs)) changed = true;
    for (let id = clock.takeTransferEnd(); id !== undefined; id = clock.takeTransferEnd()) {
      const handoff = this.#handoffs.get(id);
      if (handoff !== undefined) this.#actions.push({ step: "activate", handoff });
      changed = true;
    }
    while (this.#actions.length > 0) {
      const actions = this.#actions;
      this.#actions = [];
      for (const action of actions) if (this.#execute(action, nowMs)) changed = true;
    }
    return changed;
  }

  drive(nowMs: number): boolean {
    const prefilled = this.#prefill.pool.drive(nowMs);
    const decoded = this.#decode.pool.drive(nowMs);
    // The end of a pass without effects may still have found room for a prompt.
    return prefilled || decoded || this.#actions.length > 0;
  }

  #endCopies(nowMs: number): boolean {
    const prefilled = this.#prefill.pool.endCopies(nowMs);
    return this.#decode.pool.endCopies(nowMs) || prefilled;
  }

  #half(name: "prefill" | "decode", { workers, router }: Deployment): Half {
    const { clock, log, onPass, onWorker } = this.#parts;
    const pool = new WorkerPool(name, workers, {
      log,
      schedule: (atMs, pool, worker) => clock.addPassEnd(atMs, pool, worker),
      onPassEnd: (_pool, worker, passes, nowMs) => this.#onPassEnd(name, worker, passes, nowMs),
      onCopies: (pool, worker, rank) => void this.#publish({ pool, router }, worker, rank),
      onPass,
      onWorker,
    });
    return { pool, router, deferred: workers.map(({ ranks }) => ranks.map(() => [])) };
  }

  /** Does one step of a hand-over; false if it has to wait for the end of a pass. */
  #execute({ step, handoff }: Action, nowMs: number): boolean {
    if (handoff.isOver && step !== "release") return true;
    if (step === "prefill") this.#startPrefill(handoff, nowMs);
    else if (step === "reserve") this.#reserve(handoff, nowMs);
    else return this.#executeWhenIdle(step, handoff, nowMs);
    return true;
  }

  #executeWhenIdle(step: "activate" | "release", handoff: Handoff, nowMs: number): boolean {
    const { log } = this.#parts;
    const half = step === "activate" ? this.#decode : this.#prefill;
    const { worker, rank } = (step === "activate" ? handoff.decode : handoff.prefill)!;
    if (half.pool.workers[worker]!.isBusy) {
      half.deferred[worker]![rank]!.push({ step, handoff });
      return false;
    }
    const scheduler = half.pool.workers[worker]!.ranks[rank]!;
    if (step === "activate") {
      scheduler.activateDestination(handoff.destination!);
      log.onTime(handoff.row.index, "destination_activated_ms", nowMs);
      this.#actions.push({ step: "release", handoff });
    } else {
      scheduler.releaseSource(handoff.source!);
      log.onTime(handoff.row.index, "source_released_ms", nowMs);
      this.#forget(handoff);
    }
    half.pool.mark(worker);
    this.#publish(half, worker, rank);
    this.#onHandoffs(scheduler.takeHandoffs(), nowMs);
    return true;
  }

  #startPrefill(handoff: Handoff, nowMs: number): void {
    const { row } = handoff;
    const { scheduler, sequence } = this.#place("prefill", handoff, nowMs);
    const spec = {
      id: row.index,
      sequence,
      promptTokens: row.inputTokens,
      maxOutputTokens: Math.min(1, row.outputTokens),
    };
    handoff.source = scheduler.submitSource(spec);
  }

  #reserve(handoff: Handoff, nowMs: number): void {
    const { row } = handoff;
    const { scheduler, sequence, isIdle } = this.#place("decode", handoff, nowMs);
    const spec = { id: row.index, sequence, promptTokens: row.inputTokens, maxOutputTokens: row.outputTokens };
    try {
      handoff.destination = scheduler.reserveDestination(spec, isIdle);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#fail(handoff, nowMs, "failed");
      return;
    }
    // What a pass under way has brought is not to be seen before it ends.
    if (isIdle) this.#onHandoffs(scheduler.takeHandoffs(), nowMs);
  }

  #place(name: "prefill" | "decode", handoff: Handoff, nowMs: number) {
    const half = name === "prefill" ? this.#prefill : this.#decode;
    const { row } = handoff;
    const sequence = this.#parts.sequenceOf(row);
    const request = { id: row.index, sequence, promptTokens: row.inputTokens, outputTokens: row.outputTokens };
    const placement = half.router.place(request, nowMs);
    handoff[name] = placement;
    this.#parts.log.onRouting(row.index, name, placement.worker, placement.rank, placement.overlapTokens);
    half.pool.mark(placement.worker);
    const group = half.pool.workers[placement.worker]!;
    return { scheduler: group.ranks[placement.rank]!, sequence, isIdle: !group.isBusy };
  }

  #onPassEnd(name: "prefill" | "decode", worker: number, passes: readonly RankPass[], nowMs: number): boolean {
    let changed = false;
    const half = name === "prefill" ? this.#prefill : this.#decode;
    for (const { rank, pass } of passes) {
      // What waited for a rank comes before what the rank brings, and before the next rank.
      this.#actions.push(...half.deferred[worker]![rank]!.splice(0));
      const scheduler = half.pool.workers[worker]!.ranks[rank]!;
      if (this.#publish(half, worker, rank)) changed = true;
      for (let i = 0; i < pass.requests.length; i++) {
        const { id } = pass.requests[i]!;
        if (name === "prefill") this.#onPrefillSignal(id, pass.flags[i]!, nowMs);
        else this.#onDecodeSignal(id, pass.flags[i]!, nowMs);
      }
      const handoffs = scheduler.takeHandoffs();
      if (handoffs.length > 0) changed = true;
      this.#onHandoffs(handoffs, nowMs);
    }
    return changed;
  }

  #onPrefillSignal(id: number, flags: number, nowMs: number): void {
    if ((flags & REJECTED) !== 0) this.#fail(this.#handoffs.get(id)!, nowMs, "rejected");
    else if ((flags & COMPLETED) !== 0) this.#prefill.router.onPrefillDone(id);
  }

  #onDecodeSignal(id: number, flags: number, nowMs: number): void {
    const { log } = this.#parts;
    if ((flags & TOKEN) !== 0) log.onToken(id, nowMs);
    if ((flags & COMPLETED) === 0) return;
    log.onEnd(id, nowMs, (flags & REJECTED) !== 0 ? "rejected" : "completed");
    this.#decode.router.onEnd(id);
    this.#parts.onEnd(id, nowMs);
    const handoff = this.#handoffs.get(id);
    if (handoff !== undefined) handoff.isOver = true;
  }

  #onHandoffs(events: readonly HandoffEvent[], nowMs: number): void {
    const { log } = this.#parts;
    for (const event of events) {
      const { id } = event.request;
      const handoff = this.#handoffs.get(id);
      if (handoff === undefined) continue;
      if (event.kind === "source_held") {
        handoff.isHeld = true;
        log.onTime(id, "source_held_ms", nowMs);
        if (this.#deployment.isSourceFirst) this.#actions.push({ step: "reserve", handoff });
      } else {
        handoff.missingTokens = event.missingTokens;
        log.onTime(id, "destination_reserved_ms", nowMs);
        if (!this.#deployment.isSourceFirst) this.#actions.push({ step: "prefill", handoff });
      }
      if (handoff.isHeld && handoff.missingTokens !== undefined) this.#transfer(handoff, nowMs);
    }
  }

  #transfer(handoff: Handoff, nowMs: number): void {
    const { row, missingTokens = 0 } = handoff;
    const delayMs = transferMs(transferTiming(this.#deployment.transferArgs, row.inputTokens), missingTokens);
    if (delayMs > 0) this.#parts.clock.addTransferEnd(nowMs + delayMs, row.index, handoff.order);
    else this.#actions.push({ step: "activate", handoff });
  }

  /** The request ends here: what it holds in either pool is given back. */
  #fail(handoff: Handoff, nowMs: number, outcome: "rejected" | "failed"): void {
    const { row, prefill, decode, source, destination } = handoff;
    this.#parts.log.onEnd(row.index, nowMs, outcome);
    handoff.isOver = true;
    const halves = [[this.#prefill, prefill, source], [this.#decode, decode, destination]] as const;
    for (const [half, placement, request] of halves) {
      if (placement === undefined) continue;
      half.router.onEnd(row.index);
      if (request === undefined) continue;
      const group = half.pool.workers[placement.worker]!;
      group.ranks[placement.rank]!.cancel(request, !group.isBusy, nowMs);
      half.pool.mark(placement.worker);
    }
    this.#forget(handoff);
    this.#parts.onEnd(row.index, nowMs);
  }

  #forget({ row, prefill }: Handoff): void {
    if (prefill !== undefined) this.#prefill.router.onEnd(row.index);
    this.#handoffs.delete(row.index);
  }

  #publish({ pool, router }: Pick<Half, "pool" | "router">, worker: number, rank: number): boolean {
    const events = pool.workers[worker]!.ranks[rank]!.takeKvEvents();
    if (events.length > 0) router.onKvEvents(worker, rank, events);
    return events.length > 0;
  }
}
