/**
 * What is going to happen in one life.
 *
 * @module
 */
import type { PayloadCodec } from "../../protocol/record.ts";
import type { WorkerOptions } from "../../worker/options.ts";
import type { StoreTrouble } from "./simulated_store.ts";

/**
 * Kinds of trouble that a simulated life can have.
 *
 * - `cancel`: clients stop or kill their requests.
 * - `reset`: a response or a request connection breaks.
 * - `half_close`: a frontend ends its side of a response connection, which is no cancel.
 * - `slow_reader`: a frontend reads in fits and starts, or not at all.
 * - `dial_back`: a frontend cannot be called home; the connection is refused, or never answered.
 * - `frontend_gone`: a frontend crashes, or its host vanishes.
 * - `store`: discovery cannot be written, or is slow.
 * - `signal`: the signal comes early, at any step, or twice.
 * - `stream`: `generate` throws, hangs, ignores its abort or breaks the stream contract.
 * - `hook`: `start`, `drain`, `cleanup` or `abort` throws, hangs or is slow.
 * - `process`: something throws that nobody catches.
 */
export type SimulationFault =
  | "cancel"
  | "reset"
  | "half_close"
  | "slow_reader"
  | "dial_back"
  | "frontend_gone"
  | "store"
  | "signal"
  | "stream"
  | "hook"
  | "process";

/** All of them. */
export const SIMULATION_FAULTS: readonly SimulationFault[] = [
  "cancel",
  "reset",
  "half_close",
  "slow_reader",
  "dial_back",
  "frontend_gone",
  "store",
  "signal",
  "stream",
  "hook",
  "process",
];

/** What a client does with its request, once it has `afterItems` items of the answer. */
export interface ClientPlan {
  /** What it does; `patient` is nothing. */
  readonly kind: ClientKind;
  /** Items before it does; -1 is when the worker has called and not yet said more. */
  readonly afterItems: number;
  /** Length of pauses. @unit milliseconds */
  readonly ms: number;
}

/** The ways of clients. */
export type ClientKind =
  | "patient"
  | "stop"
  | "kill"
  | "reset"
  | "leave"
  | "half_close"
  | "slow"
  | "deaf"
  | "refuse"
  | "black_hole"
  | "drop_link";

/** What goes wrong in an engine's stream, after some chunks. */
export interface StreamPlan {
  /** What it is. */
  readonly kind: StreamKind;
  /** Chunks before it. */
  readonly afterChunks: number;
  /** How long it lasts. @unit milliseconds */
  readonly ms: number;
}

/** The ways of streams; `none` is as the engine made it. */
export type StreamKind =
  | "none"
  | "throw"
  | "invalid"
  | "throw_after_terminal"
  | "extra_after_terminal"
  | "empty"
  | "no_terminal"
  | "bad_chunk"
  | "hang"
  | "ignore_abort"
  | "slow_finally"
  | "burst";

/** How a hook of the engine behaves. */
export interface HookPlan {
  /** `none` is as the engine has it. */
  readonly kind: "none" | "slow" | "throw" | "hang";
  /** How slow it is. @unit milliseconds */
  readonly ms: number;
}

/** One request. */
export interface RequestPlan {
  /** Its id, such as `r7`. */
  readonly id: string;
  /** Which frontend sends it. */
  readonly frontend: number;
  /** When, after the worker was published. @unit milliseconds */
  readonly atMs: number;
  /** Encoding. */
  readonly codec: PayloadCodec;
  /** The prompt. */
  readonly prompt: readonly number[];
  /** Most tokens of the answer; `null` leaves it to the engine. */
  readonly maxTokens: number | null;
  /** What its client does. */
  readonly client: ClientPlan;
  /** What its stream does. */
  readonly stream: StreamPlan;
}

/** A point of time in a life. */
export interface Moment {
  /** From when it counts: the beginning, the publication of the worker, or the first signal. */
  readonly from: "begin" | "ready" | "signal";
  /** Time after that. @unit milliseconds */
  readonly ms: number;
}

/** The script of one life. */
export interface LifePlan {
  /** Settings of the worker. */
  readonly worker: WorkerOptions;
  /** Number of frontends. */
  readonly frontends: number;
  /** Requests in order of time. */
  readonly requests: readonly RequestPlan[];
  /** Hooks of the engine. */
  readonly hooks: Readonly<Record<"start" | "drain" | "cleanup" | "abort", HookPlan>>;
  /** The signals; one comes in any case. */
  readonly signals: readonly { readonly at: Moment; readonly name: "SIGTERM" | "SIGINT" }[];
  /** Whether the first signal comes long after the last request. */
  readonly isIdleStop: boolean;
  /** Frontends that go. */
  readonly departures: readonly { readonly at: Moment; readonly frontend: number; readonly how: "crash" | "cut off" }[];
  /** Trouble with discovery. */
  readonly trouble: { readonly at: Moment; readonly kind: StoreTrouble; readonly ms: number } | null;
  /** An error that nobody catches. */
  readonly fault: Moment | null;
  /** Longest one-way delay of the network. @unit milliseconds */
  readonly latencyMs: number;
  /** Time until frontends know that a worker has left. @unit milliseconds */
  readonly newsMs: number;
}
