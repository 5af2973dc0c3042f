/**
 * The workers of one process: they begin one after the other and end together.
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";
import { type Log, withFields } from "../observe/log.ts";
import type { Platform } from "../platform/platform.ts";
import type { MemStore } from "./backends.ts";
import { UsageError } from "./command_line.ts";
import type { ResolvedWorkerOptions } from "./options.ts";
import { type WorkerInfo, WorkerLife, type WorkerOutcome } from "./worker.ts";

/** The surroundings of all workers. */
export interface FleetParts {
  /** The world. */
  readonly platform: Platform;
  /** Complete settings; ports and names that only one worker can have are those of the first. */
  readonly options: ResolvedWorkerOptions;
  /** Log. */
  readonly log: Log;
  /** Store of `mem` discovery. */
  readonly memStore: MemStore;
}

/** Workers after which a staggered start makes a longer pause. @source dynamo 1.6.1, `dynamo/mocker/main.py`, `batch_size` */
const BATCH = 32;
/** That pause. @source dynamo 1.6.1, `dynamo/mocker/main.py`, `batch_pause` @unit seconds */
const BATCH_PAUSE_SECONDS = 2;
/** Delays that workers get by themselves, by how many there are at most. @source the same, `compute_stagger_delay` */
const AUTO_DELAYS: readonly (readonly [number, number])[] = [[32, 0], [128, 0.1], [Infinity, 0.2]];
const AUTO = -1;

/**
 * How long after the first worker each one begins.
 *
 * @param delay Between two workers; -1 chooses by their number, 0 is none. @unit seconds
 * @returns Milliseconds, by worker.
 * @throws {UsageError} If the delay is another negative number.
 */
export function beginTimes(workers: number, delay: number): number[] {
  if (delay < 0 && delay !== AUTO) {
    throw new UsageError(`--stagger-delay: ${delay} is neither -1, which chooses one, nor 0 or more seconds`);
  }
  const seconds = delay === AUTO ? AUTO_DELAYS.find(([most]) => workers <= most)![1] : delay;
  const pause = seconds > 0 ? BATCH_PAUSE_SECONDS : 0;
  return Array.from({ length: workers }, (_, i) => 1000 * (i * seconds + Math.floor(i / BATCH) * pause));
}

/** The workers of a process; each has an engine, a record and a card of its own. Their life is one. */
export class Fleet {
  /** Resolves when all serve, with what the first one tells; rejects if it never comes to that. */
  readonly ready: Promise<WorkerInfo>;
  /** Resolves when everything of all workers is undone, with why the first one failed, if one did. */
  readonly finished: Promise<WorkerOutcome>;
  readonly #platform: Platform;
  readonly #lives: readonly WorkerLife[];
  readonly #times: readonly number[];
  readonly #running: Set<WorkerLife>;
  readonly #waits: Disposable[] = [];
  #failed: WorkerOutcome | null = null;
  #isEnding = false;
  #wasTold = false;

  /** Prepares workers; nothing is opened before {@linkcode begin}. @throws {UsageError} If the delay makes no sense. */
  constructor(engines: readonly Engine[], { platform, options, log, memStore }: FleetParts) {
    this.#platform = platform;
    this.#times = beginTimes(engines.length, options.staggerDelaySeconds);
    this.#lives = engines.map((engine, index) =>
      new WorkerLife(engine, {
        platform: index === 0 ? platform : withoutWatchdog(platform),
        options: engines.length === 1 ? options : optionsOf(options, index),
        log: engines.length === 1 ? log : withFields(log, { worker: index }),
        memStore,
        isFirst: index === 0,
      })
    );
    this.ready = Promise.all(this.#lives.map((life) => life.ready)).then(([first]) => first!);
    this.ready.catch(() => {});
    this.#running = new Set(this.#lives);
    const outcomes = this.#lives.map((life) => life.finished.then((outcome) => this.#ended(life, outcome)));
    this.finished = Promise.all(outcomes).then((all) => this.#failed ?? worst(all));
  }

  /** Opens, starts, registers and serves, one after the other. */
  begin(): void {
    for (const [index, life] of this.#lives.entries()) {
      const ms = this.#times[index]!;
      if (ms === 0) life.begin();
      else this.#waits.push(this.#platform.clock.timer(ms, () => life.begin()));
    }
  }

  /** Ends all workers in order. A second call skips to the forced stage. */
  stop(): void {
    const isUnderWay = this.#isEnding && !this.#wasTold;
    this.#wasTold = true;
    if (!isUnderWay) this.#stopAll();
  }

  /** Ends all workers because something failed that nobody caught; it may belong to any of them. */
  fail(error: unknown): void {
    [this.#isEnding, this.#wasTold] = [true, true];
    this.#cancelWaits();
    for (const life of this.#running) life.fail(error);
  }

  /** A process that has lost a worker ends, so that whoever looks after it notices. */
  #ended(life: WorkerLife, outcome: WorkerOutcome): WorkerOutcome {
    this.#running.delete(life);
    if (outcome.error !== null) this.#failed ??= outcome;
    if (!this.#isEnding) this.#stopAll();
    return outcome;
  }

  #stopAll(): void {
    this.#isEnding = true;
    this.#cancelWaits();
    for (const life of this.#running) life.stop();
  }

  #cancelWaits(): void {
    for (const wait of this.#waits.splice(0)) wait[Symbol.dispose]();
  }
}

/** One thread watches the event loop, which all workers share. */
function withoutWatchdog({ watchdog: _watchdog, ...platform }: Platform): Platform {
  return platform;
}

/** The settings of one of several workers: ports that are set count up, identities get its number. */
export function optionsOf(options: ResolvedWorkerOptions, index: number): ResolvedWorkerOptions {
  const { tcpRpcPort, systemPort, stableRoutingId } = options;
  return {
    ...options,
    tcpRpcPort: tcpRpcPort === 0 ? 0 : tcpRpcPort + index,
    ...(systemPort === undefined || systemPort <= 0 ? {} : { systemPort: systemPort + index }),
    ...(stableRoutingId === undefined ? {} : { stableRoutingId: `${stableRoutingId}-${index}` }),
  };
}

function worst(outcomes: readonly WorkerOutcome[]): WorkerOutcome {
  return outcomes.reduce((worst, outcome) => outcome.exitCode > worst.exitCode ? outcome : worst);
}
