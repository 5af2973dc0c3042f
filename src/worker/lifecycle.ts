/**
 * Where the worker is in its life.
 *
 * @module
 */
import type { Log } from "../observe/log.ts";

/**
 * - `init`: nothing is started.
 * - `starting`: the engine loads.
 * - `start_failed`: it could not be started, or could not be put into discovery; `cleanup` is owed all the same.
 * - `ready`: registered and serving.
 * - `stopping`: readiness is withdrawn; what runs goes on.
 * - `stopped`: everything is undone.
 */
export type WorkerState = "init" | "starting" | "start_failed" | "ready" | "stopping" | "stopped";

const NEXT: Readonly<Record<WorkerState, readonly WorkerState[]>> = {
  init: ["starting", "start_failed", "stopped"],
  starting: ["ready", "start_failed", "stopping"],
  start_failed: ["stopped"],
  ready: ["stopping"],
  stopping: ["stopped"],
  stopped: [],
};

/** The worker's state; only legal moves are made. */
export class Lifecycle {
  readonly #log: Log;
  #state: WorkerState = "init";
  #condition: () => boolean = () => true;
  #hasBeenReady = false;
  #moved: () => void = () => {};

  constructor(log: Log) {
    this.#log = log;
  }

  /** The state now. */
  get state(): WorkerState {
    return this.#state;
  }

  /** Whether the worker has served, or does. */
  get hasBeenReady(): boolean {
    return this.#hasBeenReady;
  }

  /** Whether the worker wants requests. */
  get isReady(): boolean {
    return this.#state === "ready" && this.#condition();
  }

  /** Sets what has to hold besides for the worker to be ready, such as the verdict of the health canary. */
  require(condition: () => boolean): void {
    this.#condition = condition;
  }

  /** Sets who is told of each move, after it. There is one such call; a later one takes its place. */
  onMove(run: () => void): void {
    this.#moved = run;
  }

  /**
   * Moves on.
   *
   * @throws {Error} If the move is not legal, which is a bug of the worker.
   */
  move(next: WorkerState): void {
    if (next === this.#state) return;
    if (!NEXT[this.#state].includes(next)) throw new Error(`Cannot move from ${this.#state} to ${next}`);
    this.#log.debug("Worker state", { from: this.#state, to: next });
    this.#state = next;
    if (next === "ready") this.#hasBeenReady = true;
    this.#moved();
  }
}
