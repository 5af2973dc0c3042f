/**
 * Draws the script of a life from its seed.
 *
 * @module
 */
import type { WorkerOptions } from "../../worker/options.ts";
import type { ClientKind, HookPlan, LifePlan, Moment, RequestPlan, SimulationFault, StreamKind } from "./life_plan.ts";
import type { SeededRandom } from "./seeded_random.ts";
import { MODEL_FOLDER, STORE_FOLDER } from "./simulated_store.ts";

const CLIENTS: Readonly<Record<ClientKind, { readonly weight: number; readonly fault: SimulationFault | null }>> = {
  patient: { weight: 50, fault: null },
  stop: { weight: 5, fault: "cancel" },
  kill: { weight: 10, fault: "cancel" },
  reset: { weight: 6, fault: "reset" },
  leave: { weight: 5, fault: "reset" },
  drop_link: { weight: 2, fault: "reset" },
  half_close: { weight: 5, fault: "half_close" },
  slow: { weight: 6, fault: "slow_reader" },
  deaf: { weight: 2, fault: "slow_reader" },
  refuse: { weight: 3, fault: "dial_back" },
  black_hole: { weight: 2, fault: "dial_back" },
};

const STREAMS: Readonly<Record<Exclude<StreamKind, "none">, number>> = {
  throw: 4,
  invalid: 2,
  throw_after_terminal: 2,
  extra_after_terminal: 2,
  empty: 1,
  no_terminal: 2,
  bad_chunk: 2,
  hang: 2,
  ignore_abort: 4,
  slow_finally: 3,
  burst: 4,
};

const NO_HOOK: HookPlan = { kind: "none", ms: 0 };
/** Time that lives with an idle stop leave after their last request, so that everything about it is over. @unit milliseconds */
const IDLE_MS = 45_000;

/** Draws a life. @param faults What may go wrong. */
export function drawLife(random: SeededRandom, faults: ReadonlySet<SimulationFault>): LifePlan {
  const worker = drawOptions(random.stream("options"));
  const frontends = random.integer(1, 3);
  const spanMs = random.between(50, 2500);
  const requests = drawRequests(random.stream("requests"), faults, frontends, spanMs);
  const isIdleStop = random.chance(0.3);
  const happens = (fault: SimulationFault, share: number): boolean => random.chance(share) && faults.has(fault);
  const hook = (share: number, ways: readonly HookPlan["kind"][]): HookPlan =>
    happens("hook", share) ? { kind: random.pick(ways), ms: random.between(10, 9000) } : NO_HOOK;
  const ready = (maxMs: number): Moment => ({ from: "ready", ms: random.between(0, maxMs) });
  return {
    worker,
    frontends,
    requests,
    hooks: {
      start: hook(0.12, ["slow", "slow", "throw", "hang"]),
      drain: hook(0.1, ["slow", "throw", "hang"]),
      cleanup: hook(0.1, ["slow", "throw", "hang"]),
      abort: hook(0.1, ["slow", "throw", "hang"]),
    },
    signals: drawSignals(random.stream("signals"), faults.has("signal"), isIdleStop ? spanMs + IDLE_MS : null, spanMs),
    isIdleStop,
    departures: Array.from({ length: frontends }, (_, frontend) => frontend)
      .filter(() => happens("frontend_gone", 0.08))
      .map((frontend) => ({ at: ready(spanMs + 500), frontend, how: random.pick(["crash", "cut off"] as const) })),
    trouble: !happens("store", 0.15) ? null : {
      at: { from: random.pick(["begin", "ready", "signal"] as const), ms: random.between(0, 300) },
      kind: random.pick(["fails", "slow"] as const),
      ms: random.between(1, 8000),
    },
    fault: happens("process", 0.06) ? ready(spanMs) : null,
    latencyMs: random.pick([0.2, 1, 10]),
    newsMs: random.pick([0, 20, 1000]),
  };
}

function drawOptions(random: SeededRandom): WorkerOptions {
  const isLimited = random.chance(0.5);
  return {
    discoveryBackend: random.chance(0.7) ? "mem" : "file",
    fileKv: STORE_FOLDER,
    modelPath: MODEL_FOLDER,
    systemPort: -1,
    gateway: false,
    graceSeconds: random.chance(0.5) ? 0 : random.between(0.1, 2),
    shutdownTimeoutSeconds: random.between(9, 20),
    connectTimeoutSeconds: random.between(0.5, 2),
    coalesceMs: random.pick([0, 1]),
    validate: random.pick(["off", "warn", "throw"] as const),
    requestPlaneCodec: random.pick(["msgpack", "json"] as const),
    ...(isLimited ? { engineRequestLimit: random.integer(2, 8), requestQueueLimit: random.integer(0, 10) } : {}),
  };
}

function drawRequests(
  random: SeededRandom,
  faults: ReadonlySet<SimulationFault>,
  frontends: number,
  spanMs: number,
): RequestPlan[] {
  // Lives in which nothing is endless show what runs out of time without a reason.
  const hasEndless = random.chance(0.3);
  const rows = Object.entries(CLIENTS).filter(([kind, { fault }]) =>
    (fault === null || faults.has(fault)) && (hasEndless || kind !== "deaf")
  );
  const weights = Object.fromEntries(rows.map(([kind, { weight }]) => [kind, weight])) as Record<ClientKind, number>;
  const times = Array.from({ length: random.integer(10, 30) }, () => random.between(0, spanMs)).sort((a, b) => a - b);
  return times.map((atMs, i): RequestPlan => {
    const isBroken = random.chance(0.14) && faults.has("stream");
    return {
      id: `r${i + 1}`,
      frontend: random.integer(0, frontends - 1),
      atMs,
      codec: random.pick(["json", "msgpack"] as const),
      // No two requests have the same first token, so an engine that repeats it shows crossed streams.
      prompt: [1000 * (i + 1), ...Array.from({ length: random.integer(0, 8) }, () => random.integer(0, 70_000))],
      maxTokens: random.chance(0.9) ? random.integer(1, 16) : null,
      client: { kind: random.weighted(weights), afterItems: random.integer(-1, 8), ms: random.between(1, 400) },
      stream: {
        kind: isBroken ? random.weighted(hasEndless ? STREAMS : { ...STREAMS, hang: 0 }) : "none",
        afterChunks: random.integer(0, 6),
        ms: random.between(1, 5000),
      },
    };
  });
}

function drawSignals(
  random: SeededRandom,
  isFree: boolean,
  idleMs: number | null,
  spanMs: number,
): LifePlan["signals"] {
  const name = random.pick(["SIGTERM", "SIGINT"] as const);
  if (!isFree) return [{ at: { from: "ready", ms: idleMs ?? spanMs + 3000 }, name }];
  const isEarly = idleMs === null && random.chance(0.15);
  const at: Moment = isEarly
    ? { from: "begin", ms: random.pick([0, random.between(0, 1), random.between(0, 3000)]) }
    : { from: "ready", ms: idleMs ?? random.between(0, random.chance(0.1) ? 5 : spanMs + 2000) };
  if (!random.chance(0.2)) return [{ at, name }];
  const second: Moment = { from: "signal", ms: random.pick([0, random.between(0, 100), random.between(0, 12_000)]) };
  return [{ at, name }, { at: second, name: random.pick(["SIGTERM", "SIGINT"] as const) }];
}
