/**
 * What is promised about the worker as a whole.
 *
 * @module
 */
import type { SimulationEvent } from "./history.ts";
import type { LifeFacts, RequestFacts } from "./life_facts.ts";
import { type Violation, violationsOf } from "./violation.ts";

/** Times in histories are rounded by the steps of the world. @unit milliseconds */
const SLACK_MS = 1;
/** A record that has to be there may be away for so long. @unit milliseconds @source dynamo-runtime 1.6.1, file store TTL */
const LEASE_MS = 10_000;
/** Prologues that are held go out before the record is deleted. @unit milliseconds */
const WITHDRAWAL_MS = 1500;

/** I5: what is registered can serve, and what can serve is registered. */
export function registeredIsServing(facts: LifeFacts): Violation[] {
  const { add, found } = violationsOf("I5");
  const { published, first, exitedAt, stoppedAt } = facts;
  const isInTrouble = facts.hadTrouble(0);
  const started = first("started");
  if (published.some(({ from }) => started === undefined || from < started.at)) {
    add("it was registered before its engine had started");
  }
  for (const request of facts.requests) {
    const sent = request.first("sent")!;
    const refused = request.first("refused");
    if (!refused?.detail?.startsWith("Server unavailable")) continue;
    if (!facts.hadTrouble(stoppedAt) && published.some(({ from, to }) => from <= sent.at && refused.at <= to)) {
      add("it was refused while the worker was registered", request.id);
    }
  }
  if (isInTrouble) return found;
  for (const kind of left(facts)) add(`its ${kind} was left behind`);
  const { from } = published[0] ?? {};
  if (from === undefined) return found;
  const away = published.slice(1).map((span, i) => span.from - published[i]!.to);
  if (away.some((ms) => ms > LEASE_MS)) add("it was not registered for longer than a lease lives, and could serve");
  const gone = published.at(-1)!.to;
  if (gone < stoppedAt) add("its record went before it was told to stop");
  if (gone > Math.min(stoppedAt + WITHDRAWAL_MS, exitedAt)) {
    add(
      `it was told to stop at ${stoppedAt.toFixed(1)} and still registered at ${Math.min(gone, exitedAt).toFixed(1)}`,
    );
  }
  const hook = first("drain", "cleanup");
  if (hook !== undefined && hook.at < gone) add(`${hook.what}() was called while it was registered`);
  return found;
}

/** Kinds of records that were published more often than withdrawn. */
function left({ all }: LifeFacts): readonly string[] {
  const count = (what: "published" | "withdrawn", kind: string) =>
    all(what).filter(({ detail }) => detail === kind).length;
  const kinds = new Set(all("published").map(({ detail = "" }) => detail));
  return [...kinds].filter((kind) => count("published", kind) > count("withdrawn", kind));
}

/** Share of the reserve that streams which were cut short have to end in. */
const CUT_SHARE = 0.3;
/** An engine that goes on for so long after its abort is given up. @unit milliseconds */
const DETACH_MS = 2000;

/** I6: `cleanup` runs exactly once for a `start`, after `drain`, and never while a stream runs before the deadline. */
export function cleanupOnce(facts: LifeFacts): Violation[] {
  const { add, found } = violationsOf("I6");
  const { all, first, inFlightEndsAt, forcedAt, deadline } = facts;
  const counts = { start: all("start").length, drain: all("drain").length, cleanup: all("cleanup").length };
  if (counts.start > 1) add(`start() was called ${counts.start} times`);
  if (counts.drain > 1) add(`drain() was called ${counts.drain} times`);
  if (counts.cleanup !== counts.start) add(`cleanup() was called ${counts.cleanup} times for ${counts.start} starts`);
  const cleanup = first("cleanup");
  if (cleanup === undefined) return found;
  const drain = first("drain");
  if (drain !== undefined && drain.at > cleanup.at) add("drain() was called after cleanup()");
  const isCut = cleanup.at >= Math.min(inFlightEndsAt, forcedAt, facts.faultedAt);
  const reserveMs = deadline - inFlightEndsAt;
  const patienceMs = isCut ? CUT_SHARE * reserveMs : DETACH_MS;
  for (const request of facts.requests) {
    const generated = request.first("generate");
    if (generated === undefined) continue;
    if (generated.at > cleanup.at) add("generate() was called after cleanup()", request.id);
    const end = request.first("finally")?.at ?? Infinity;
    if (generated.at > cleanup.at || end <= cleanup.at) continue;
    const toldAt = request.first("aborted")?.at ?? Infinity;
    if (cleanup.at - toldAt < patienceMs - SLACK_MS) {
      add("cleanup() was called while its stream was running", request.id);
    }
  }
  return found;
}

/** Time that forced stages may take: requests, cleanup and records. @unit milliseconds */
const FORCED_MS = 13_000;
/** What is not part of any stage. @unit milliseconds */
const MARGIN_MS = 1500;

/** I7: the exit code says why the worker ended, and it ended in time. */
export function exitSaysWhy(facts: LifeFacts): Violation[] {
  const { add, found } = violationsOf("I7");
  const { first, exitedAt, stoppedAt, forcedAt, totalMs } = facts;
  const exit = first("exit");
  if (exit === undefined) {
    add("it never exited");
    return found;
  }
  const endsAt = Math.min(first("start failed")?.at ?? Infinity, stoppedAt) + totalMs;
  const latest = forcedAt < Infinity ? Math.max(endsAt, forcedAt + FORCED_MS) : endsAt;
  if (exitedAt > latest + MARGIN_MS) {
    add(`it exited at ${exitedAt.toFixed(1)}, but had time until ${latest.toFixed(1)}`);
  }
  const expected = expectedCodes(facts);
  if (!expected.includes(exit.number ?? -1)) {
    const why = overdue(facts);
    const reason = why.length === 0 ? "nothing ran out of time" : `out of time: ${why.join(", ")}`;
    add(`its exit code is ${exit.number}, but should be ${expected.join(" or ")}; ${reason}`);
  }
  return found;
}

function expectedCodes(facts: LifeFacts): readonly number[] {
  const { first, stoppedAt, forcedAt } = facts;
  const failed = first("start failed");
  if (failed !== undefined && failed.at <= stoppedAt) return failed.at === stoppedAt ? [0, 1] : [1];
  // A store that refuses the first records keeps the worker from starting, unless it was told to stop meanwhile.
  const isUnpublished = first("started") !== undefined && facts.published.length === 0;
  const isRefused = isUnpublished && facts.hadTrouble(0);
  if (isRefused && stoppedAt === Infinity) return [1];
  if (facts.faultedAt < Infinity) return isRefused ? [1, 4] : [4];
  const codes = forcedAt < Infinity || overdue(facts).length > 0 ? [3] : [0];
  // Writes that are slow may be cut off in the end, and need not be.
  const isSlow = facts.hadTrouble(stoppedAt);
  return [...new Set([...isRefused ? [1] : [], ...codes, ...isSlow ? [0, 3] : []])];
}

/** What had not ended when its time was up. */
function overdue(facts: LifeFacts): string[] {
  const { inFlightEndsAt, deadline, first } = facts;
  const late: string[] = [];
  if (isLate(first("start"), first("started", "start failed"), inFlightEndsAt)) late.push("start");
  if (isLate(first("drain"), first("drained"), inFlightEndsAt)) late.push("drain");
  if (isLate(first("cleanup"), first("cleaned up"), deadline - (deadline - inFlightEndsAt) / 5)) late.push("cleanup");
  for (const request of facts.requests) {
    const isUnread = isLate(request.first("finished"), request.first("closed", "lost"), deadline);
    if (isUnread || isUnfinishedAt(request, inFlightEndsAt)) late.push(request.id);
  }
  return late;
}

/** Whether something that began before `end` had not ended by then. */
function isLate(from: SimulationEvent | undefined, to: SimulationEvent | undefined, end: number): boolean {
  return from !== undefined && from.at < end && (to?.at ?? Infinity) >= end;
}

/** Whether a request was inside at a time, as far as its frontend or its engine kept it there. */
function isUnfinishedAt(request: RequestFacts, time: number): boolean {
  const sent = request.first("sent")!;
  if (sent.at > time || request.first("refused")) return false;
  const generated = request.first("generate");
  const end = request.first("finally")?.at ?? Infinity;
  if (generated !== undefined) return end >= time && (request.first("aborted")?.at ?? Infinity) + DETACH_MS >= time;
  // It never came to the engine: others were before it until its time was up.
  return request.first("error")?.detail === "backend.engine_shutdown";
}

/** I8: what the worker had is given back when it is gone. */
export function everythingGivenBack(facts: LifeFacts): Violation[] {
  const { add, found } = violationsOf("I8");
  // Answers that are read too slowly are cut off by the end of the process.
  const unread = facts.requests.filter(({ first }) =>
    isLate(first("finished"), first("closed", "lost"), facts.deadline)
  );
  const allowed: Readonly<Record<string, number>> = {
    // What a stream or a hook that never ends still waits by is not the worker's.
    timers: isEngineBusyAtExit(facts) || unread.length > 0 ? Infinity : 0,
    connections: unread.length,
    listeners: 0,
    handlers: 0,
  };
  for (const [what, most] of Object.entries(allowed)) {
    const number = facts.all("probe").find(({ detail }) => detail === `exit: ${what}`)?.number ?? 0;
    if (number > most) add(`${number} ${what} were left when the worker was gone`);
  }
  return found;
}

/** Whether the engine was still doing something when the worker was gone. */
function isEngineBusyAtExit({ first, requests, exitedAt }: LifeFacts): boolean {
  const isOpen = (from: SimulationEvent | undefined, to: SimulationEvent | undefined): boolean =>
    from !== undefined && (to?.at ?? Infinity) > exitedAt;
  const hooks = [["start", "started"], ["drain", "drained"], ["cleanup", "cleaned up"]] as const;
  return requests.some((request) => isOpen(request.first("generate"), request.first("finally"))) ||
    hooks.some(([begin, end]) => isOpen(first(begin), first(end, "start failed")));
}
