/**
 * A simulated world: time, network, discovery, one worker's process, and frontends.
 *
 * @module
 */
import type { Platform } from "../../platform/platform.ts";
import { History } from "./history.ts";
import type { LifePlan } from "./life_plan.ts";
import { Network } from "./network.ts";
import { PartyClock } from "./party_clock.ts";
import { PartyProcess } from "./party_process.ts";
import type { SeededRandom } from "./seeded_random.ts";
import { SimulatedFrontend } from "./simulated_frontend.ts";
import { SimulatedStore } from "./simulated_store.ts";
import { Timeline } from "./timeline.ts";
import { WorkerTap } from "./worker_tap.ts";

/** Address of the worker. */
export const WORKER_HOST = "10.0.0.1";

/** Everything around a worker. */
export interface World {
  /** Time. */
  readonly timeline: Timeline;
  /** What happened. */
  readonly history: History;
  /** Hosts. */
  readonly network: Network;
  /** Discovery. */
  readonly store: SimulatedStore;
  /** The worker's process. */
  readonly process: PartyProcess;
  /** What the worker is made of. */
  readonly platform: Platform;
  /** The worker's response connections. */
  readonly tap: WorkerTap;
  /** Frontends, and how they go. */
  readonly frontends: readonly SimulatedFrontend[];
}

/** Windows of connections, from comfortable to narrow. @unit bytes */
const WINDOWS = [65_536, 65_536, 4096, 512] as const;

/** Makes the world of a plan. */
export async function openWorld(random: SeededRandom, plan: LifePlan): Promise<World> {
  const timeline = new Timeline();
  const history = new History(() => timeline.now);
  const quality = random.stream("quality");
  const network = new Network({
    timeline,
    random: random.stream("network"),
    quality: () => ({
      latencyMs: quality.between(0.05, plan.latencyMs),
      jitter: quality.between(0, 2),
      windowBytes: quality.pick(WINDOWS),
      splitting: quality.pick([0, 0.1, 0.6]),
    }),
  });
  const clockOf = (owner: string) => new PartyClock(timeline, random.stream(`clock of ${owner}`), owner);
  const clock = clockOf(WORKER_HOST);
  const store = new SimulatedStore(timeline, clock, history);
  await store.prepare();
  const process = new PartyProcess();
  const tap = new WorkerTap(history);
  const platform: Platform = {
    clock,
    random: random.stream("worker"),
    net: tap.tapped(network.host(WORKER_HOST), WORKER_HOST),
    files: store.files,
    http: { serve: () => Promise.reject(new Error("Cannot serve HTTP: a simulated world has none")) },
    process,
    runtime: "simulation",
  };
  const frontends = Array.from({ length: plan.frontends }, async (_, i) => {
    const name = `frontend-${i + 1}`;
    const host = frontendHost(i);
    const clock = clockOf(host);
    const discovery = await store.open(plan.worker.discoveryBackend ?? "mem", clock, random.stream(name));
    const frontend = new SimulatedFrontend({
      name,
      host,
      net: network.host(host),
      reset: (conn) => network.reset(conn),
      clock,
      newsMs: plan.newsMs,
      discovery,
      history,
    });
    await frontend.open();
    return frontend;
  });
  return { timeline, history, network, store, process, platform, tap, frontends: await Promise.all(frontends) };
}

/** Address of a frontend. */
export function frontendHost(index: number): string {
  return `10.0.1.${index + 1}`;
}
