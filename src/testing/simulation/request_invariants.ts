/**
 * What is promised about requests.
 *
 * @module
 */
import type { LifeFacts, RequestFacts } from "./life_facts.ts";
import { type Violation, violationsOf } from "./violation.ts";

/** Time a worker has to tell its engine that a request is dead. @unit milliseconds */
const TELL_MS = 1000;
/** Clients that want their whole answer and can get it. */
const WAITING_CLIENTS: readonly string[] = ["patient", "half_close", "slow", "drop_link"];
/** Times in histories are rounded by the steps of the world. @unit milliseconds */
const SLACK_MS = 1;

/** I1: every accepted request gets exactly one terminal or typed error, and only what is shutting down cuts one short. */
export function exactlyOneEnd(facts: LifeFacts): Violation[] {
  const { add, found } = violationsOf("I1");
  for (const request of facts.requests) {
    const { id, first } = request;
    const ends = endsOf(request);
    if (ends.length > 1) add(`it ended ${ends.length} times: ${ends.join(", ")}`, id);
    for (const { detail } of request.all("malformed")) add(`its answer is malformed: ${detail}`, id);
    const answers = request.all("accepted", "refused", "unanswered");
    if (answers.length > 1) add(`its acknowledgement came ${answers.length} times`, id);
    const wasThere = first("sent")!.at < facts.exitedAt && request.frontendGoneAt === Infinity;
    if (answers.length === 0 && wasThere) add("it was never acknowledged", id);
    if (first("refused") && first("called", "generate")) add("it was refused and worked on all the same", id);
    if (isOwedAnAnswer(request, facts) && !isAnswered(request)) {
      const last = request.events.at(-1);
      add(
        `it was accepted and never came to its end; the last of it was '${last?.what}' at ${last?.at.toFixed(1)}`,
        id,
      );
    }
    const cut = request.all("error").find(({ detail }) => detail === "backend.engine_shutdown");
    if (cut !== undefined && cut.at < Math.min(facts.inFlightEndsAt, facts.forcedAt, facts.faultedAt) - SLACK_MS) {
      add(`it was cut short at ${cut.at.toFixed(1)}, before the worker's time was up`, id);
    }
  }
  return found;
}

function endsOf({ events }: RequestFacts): string[] {
  return events.filter(({ who, what, detail }) =>
    who.startsWith("frontend") &&
    (what === "error" || what === "prologue error" || (what === "item" && detail !== undefined))
  ).map(({ what, detail }) => `${what} ${detail}`);
}

function isOwedAnAnswer(request: RequestFacts, { exitedAt, stoppedAt }: LifeFacts): boolean {
  const { plan: { client }, first } = request;
  if (!first("accepted") || request.frontendGoneAt < Infinity || exitedAt === Infinity) return false;
  if (client.kind === "refuse" || client.kind === "black_hole") return false;
  // A client that reads too slowly may miss what was written for it before the worker went.
  if (client.kind === "slow" && first("finished") && (first("closed", "lost")?.at ?? Infinity) >= stoppedAt) {
    return false;
  }
  return WAITING_CLIENTS.includes(client.kind) || !first("does");
}

function isAnswered(request: RequestFacts): boolean {
  if (request.first("prologue error")) return true;
  return endsOf(request).length > 0 && request.first("final") !== undefined && request.first("sentinel") !== undefined;
}

/** I2: what a frontend gets is what the engine said, in order, up to its first terminal. */
export function sameTokens(facts: LifeFacts): Violation[] {
  const { add, found } = violationsOf("I2");
  for (const request of facts.requests) {
    const said = upToTerminal(request.all("yield"));
    const got = request.all("item", "error");
    const saidTokens = said.flatMap(({ tokens = [] }) => tokens);
    const gotTokens = got.flatMap(({ tokens = [] }) => tokens);
    const at = gotTokens.findIndex((token, i) => token !== saidTokens[i]);
    if (at >= 0) {
      add(`token ${at + 1} is ${gotTokens[at]}, but the engine said ${saidTokens[at] ?? "no more"}`, request.id);
    }
    const end = got.findIndex(({ what, detail }) => what === "error" || detail !== undefined);
    if (end >= 0 && end + 1 < got.length) add("something came after its terminal", request.id);
    const terminal = end >= 0 && got[end]!.what === "item" ? got[end] : undefined;
    if (terminal === undefined) continue;
    if (gotTokens.length < saidTokens.length) {
      add(`it ended after ${gotTokens.length} of ${saidTokens.length} tokens`, request.id);
    }
    if (terminal.detail !== said.at(-1)?.detail) {
      add(
        `it ended with ${terminal.detail}, but the engine said ${said.at(-1)?.detail ?? "nothing of the kind"}`,
        request.id,
      );
    }
  }
  return found;
}

function upToTerminal<T extends { readonly detail?: string }>(items: readonly T[]): readonly T[] {
  const end = items.findIndex(({ detail }) => detail !== undefined);
  return end < 0 ? items : items.slice(0, end + 1);
}

/** I3: the engine is told to stop for every request known dead, in time and at most once, and does not hear of dead ones. */
export function toldToStop(facts: LifeFacts): Violation[] {
  const { add, found } = violationsOf("I3");
  for (const request of facts.requests) {
    const { id, plan, first } = request;
    const generated = first("generate");
    const calls = request.all("abort").length;
    if (calls > 1) add(`abort() was called ${calls} times`, id);
    if (calls > 0 && generated === undefined) add("abort() was called for a request the engine never heard of", id);
    if (generated === undefined) continue;
    if (plan.client.kind === "refuse" || plan.client.kind === "black_hole") {
      add("the engine was called although the frontend cannot be reached", id);
    }
    const deadAt = knownDeadAt(request);
    if (deadAt === null || deadAt + TELL_MS > facts.exitedAt) continue;
    const due = deadAt + TELL_MS + SLACK_MS;
    if (generated.at > due) add("the engine was called for a request that was long dead", id);
    const isOver = [first("finally"), first("aborted")].some((event) => event !== undefined && event.at <= due);
    if (!isOver && generated.at <= due) {
      add(`it was known dead at ${deadAt.toFixed(1)}, but the engine was not told within ${TELL_MS} ms`, id);
    }
  }
  return found;
}

/** When the worker knew that nobody wanted the answer, or could get it; `null` if the engine had said all of it before. */
function knownDeadAt({ first, all }: RequestFacts): number | null {
  const news = first("told", "lost", "closed");
  if (news === undefined) return null;
  const ends = [first("finished", "ended", "dropped"), all("yield").find(({ detail }) => detail !== undefined)];
  return ends.some((end) => end !== undefined && end.at <= news.at) ? null : news.at;
}

/** Streams that may go on for ever, whatever they are told. */
const ENDLESS = "hang";
/** Streams that take their time after they were told. */
const STUBBORN: readonly string[] = [ENDLESS, "ignore_abort", "slow_finally"];

/** Clients that hold up their streams for as long as they read slowly. */
const LAGGARDS: readonly string[] = ["slow", "deaf"];

/** I4: when no request is left, nothing of the requests is left either. */
export function nothingLeftOver(facts: LifeFacts): Violation[] {
  const { add, found } = violationsOf("I4");
  const idleAt = facts.all("probe").find(({ detail }) => detail === "idle: timers")?.at;
  for (const request of facts.requests) {
    const { id, plan, first } = request;
    const endedAt = first("finally")?.at ?? Infinity;
    if (!first("generate") || endedAt < Math.min(idleAt ?? Infinity, facts.exitedAt)) continue;
    if (endedAt > facts.exitedAt && !STUBBORN.includes(plan.stream.kind)) {
      add("its stream was still open when the worker was gone", id);
    } else if (idleAt !== undefined && plan.stream.kind !== ENDLESS && !LAGGARDS.includes(plan.client.kind)) {
      add("its stream was still open when the worker was idle", id);
    }
  }
  if (idleAt === undefined) return found;
  const isOpen = (id: string): boolean => {
    const request = facts.requests.find((other) => other.id === id);
    if (request?.first("generate") === undefined) return false;
    // Its answer may still be on its way.
    if (LAGGARDS.includes(request.plan.client.kind) && (request.first("closed", "lost")?.at ?? Infinity) > idleAt) {
      return true;
    }
    return (request.first("finally")?.at ?? Infinity) > idleAt;
  };
  for (const { id = "", detail } of facts.all("probe")) {
    if (detail === "idle: response connection" && !isOpen(id)) add("its connection was left open", id);
  }
  if (facts.requests.some(({ id }) => isOpen(id))) return found;
  const [before, after] = [probeOf(facts, "ready: timers"), probeOf(facts, "idle: timers")];
  // The heartbeat of the file backend may be between two timers.
  const spare = facts.life.options.discoveryBackend === "file" ? 1 : 0;
  if (after > before + spare) {
    add(`${after} timers were left when the worker was idle, ${before} before its first request`);
  }
  return found;
}

function probeOf({ all }: LifeFacts, detail: string): number {
  return all("probe").find((event) => event.detail === detail)?.number ?? 0;
}
