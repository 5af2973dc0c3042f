/**
 * One simulated life of a worker, from the first step to the last trace.
 *
 * @module
 */
import type { Engine } from "../../engine/engine.ts";
import type { Log } from "../../observe/log.ts";
import type { Clock } from "../../platform/platform.ts";
import { live } from "../../serve.ts";
import type { ResolvedWorkerOptions, WorkerOptions } from "../../worker/options.ts";
import { resolveOptions } from "../../worker/resolve_options.ts";
import { recordEngine } from "./engine_recorder.ts";
import type { SimulationEvent } from "./history.ts";
import { drawLife } from "./draw_life.ts";
import type { LifePlan, Moment, SimulationFault } from "./life_plan.ts";
import { misbehave } from "./misbehaving_engine.ts";
import { SeededRandom } from "./seeded_random.ts";
import { frontendHost, openWorld, WORKER_HOST, type World } from "./world.ts";

/** What a life is made of. */
export interface LifeParts {
  /** The engine. */
  readonly engine: Engine;
  /** What the life follows from. */
  readonly seed: number;
  /** What may go wrong. */
  readonly faults: ReadonlySet<SimulationFault>;
  /** Settings of the worker that are not left to the seed. */
  readonly worker: WorkerOptions;
  /** Tells when promises have settled; nothing else is asked of it. */
  readonly turns: Clock;
}

/** A life that is over. */
export interface Life {
  /** What it followed from. */
  readonly seed: number;
  /** Its script. */
  readonly plan: LifePlan;
  /** The worker's settings. */
  readonly options: ResolvedWorkerOptions;
  /** What happened. */
  readonly events: readonly SimulationEvent[];
}

/** A worker that is told to stop has to be gone by then. @unit milliseconds */
const LONGEST_LIFE_MS = 300_000;
/** A worker that nobody could find is told to stop after this time. @unit milliseconds */
const LAST_SIGNAL_MS = 100_000;
/** Dropped connections are closed, and frames that waited for company are let go, in the next turns. @unit milliseconds */
const CLOSING_MS = 5;
/** What is under way when the worker has exited may arrive. @unit milliseconds */
const AFTERLIFE_MS = 1000;

/** Runs one life. */
export async function runLife({ engine, seed, faults, worker, turns }: LifeParts): Promise<Life> {
  const random = new SeededRandom(seed);
  const drawn = drawLife(random.stream("plan"), faults);
  const plan = { ...drawn, worker: { ...drawn.worker, ...worker } };
  const options = resolveOptions({ ...plan.worker, tcpRpcHost: WORKER_HOST }, {});
  const world = await openWorld(random, plan);
  const { timeline, history, network, frontends, platform, store } = world;
  history.add("world", "begin", { detail: `${plan.worker.discoveryBackend}, ${plan.frontends} frontends` });
  schedule(plan, world);
  let isOver = false;
  const recorded = recordEngine(misbehave(engine, plan, timeline), history);
  live(platform, [recorded], options, workerLog(world), store.mem).then(
    (code) => history.add("world", "exit", { number: code }),
    (error) => history.add("world", "exit", { number: -1, detail: String(error) }),
  ).then(() => {
    timeline.after(CLOSING_MS, () => {
      probe(world, "exit");
      isOver = true;
    }, "world");
  });
  if (!await timeline.run(turns, () => isOver, LONGEST_LIFE_MS)) history.add("world", "no exit");
  await timeline.run(turns, () => false, timeline.now + AFTERLIFE_MS);
  for (const frontend of frontends) frontend.vanish();
  for (let i = 0; i < frontends.length; i++) network.crash(frontendHost(i));
  const closing = Promise.all(frontends.map((frontend) => frontend.close()));
  await timeline.run(turns, () => false, timeline.now + AFTERLIFE_MS);
  await closing;
  return { seed, plan, options, events: history.events };
}

/** Puts everything that the plan says on the timeline. */
function schedule(plan: LifePlan, world: World): void {
  const { timeline, history, network, process, store, frontends } = world;
  const waiting: Record<"ready" | "signal", (() => void)[]> = { ready: [], signal: [] };
  const at = ({ from, ms }: Moment, run: () => void): void => {
    const arm = (): void => void timeline.after(ms, run, "world");
    if (from === "begin") arm();
    else waiting[from].push(arm);
  };
  const reach = (moment: "ready" | "signal"): void => {
    for (const arm of waiting[moment].splice(0)) arm();
  };
  const signal = (name: "SIGTERM" | "SIGINT"): void => {
    history.add("world", "signal", { detail: name });
    process.signal(name);
    reach("signal");
  };
  plan.signals.forEach(({ at: moment, name }, i) =>
    at(moment, () => {
      if (i === 0 && plan.isIdleStop) probe(world, "idle");
      signal(name);
    })
  );
  at({ from: "begin", ms: LAST_SIGNAL_MS }, () => signal("SIGTERM"));
  at({ from: "ready", ms: 0 }, () => probe(world, "ready"));
  for (const request of plan.requests) {
    at({ from: "ready", ms: request.atMs }, () => frontends[request.frontend]!.send(request));
  }
  for (const { at: moment, frontend, how } of plan.departures) {
    at(moment, () => {
      history.add("world", how, { detail: `frontend-${frontend + 1}` });
      frontends[frontend]!.vanish();
      if (how === "crash") network.crash(frontendHost(frontend));
      else network.cutOff(frontendHost(frontend));
    });
  }
  const { trouble, fault } = plan;
  if (trouble !== null) {
    at(trouble.at, () => store.trouble(trouble.kind));
    at({ ...trouble.at, ms: trouble.at.ms + trouble.ms }, () => store.trouble(null));
  }
  if (fault !== null) {
    at(fault, () => {
      history.add("world", "fault");
      process.fault(new Error("planned"));
    });
  }
  store.onEndpoint = () => reach("ready");
}

/** Counts what a worker has at a moment. */
function probe({ history, timeline, network, process, tap }: World, moment: "ready" | "idle" | "exit"): void {
  const count = (detail: string, number: number): void =>
    history.add("worker", "probe", { detail: `${moment}: ${detail}`, number });
  for (const id of tap.open) history.add("worker", "probe", { id, detail: `${moment}: response connection` });
  count("timers", timeline.pendingOf(WORKER_HOST));
  count("connections", network.connectionsOf(WORKER_HOST));
  count("listeners", network.listenersOf(WORKER_HOST));
  count("handlers", process.handlers);
}

/** A log that goes into the history; texts of errors differ from runtime to runtime and stay out. */
function workerLog({ history }: World): Log {
  const add = (message: string): void => history.add("worker", "log", { detail: message });
  return { debug() {}, info: add, warn: add, error: add };
}
