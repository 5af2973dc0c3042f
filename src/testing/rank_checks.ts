/**
 * Checks of the hooks that have to do with data-parallel ranks: a worker calls each once and takes the answer for good.
 *
 * @module
 */
import { type RankRange, rankRange } from "../engine/dp_rank.ts";
import type { Engine } from "../engine/engine.ts";
import { checkForwardPass } from "../engine/forward_pass.ts";
import { type Bench, describe, failed, inSeconds, notApplicable, type Outcome, PASSED } from "./conformance_bench.ts";
import type { ConformanceFailure } from "./conformance_report.ts";
import { within } from "./kit_time.ts";

/** A hook that tells ranks. */
interface RankHook {
  readonly name: "kvEventSources" | "componentMetricsDpRanks";
  readonly failed: ConformanceFailure;
  readonly notIdempotent: ConformanceFailure;
  /** Asks; not a list of ranks if the engine's answer makes no sense. */
  ask(engine: Engine): unknown;
}

/** Asks for the sources of KV events twice. @source dynamo-backend-common 1.6.1, `testing.rs` */
export function kvEventSources(bench: Bench): Promise<Outcome> {
  return check(bench, {
    name: "kvEventSources",
    failed: "KvEventSourcesFailed",
    notIdempotent: "KvEventSourcesNotIdempotent",
    ask: async (engine) => (await engine.kvEventSources!()).map(({ dpRank = 0 }) => dpRank),
  });
}

/** Asks for the ranks of component metrics twice. @source dynamo-backend-common 1.6.1, `testing.rs`, `setup_metrics` */
export function componentMetrics(bench: Bench): Promise<Outcome> {
  return check(bench, {
    name: "componentMetricsDpRanks",
    failed: "SetupMetricsFailed",
    notIdempotent: "ComponentMetricsNotIdempotent",
    ask: (engine) => engine.componentMetricsDpRanks!(),
  });
}

/** Hands the engine a publisher of forward passes, which refuses during later checks what a worker's would. */
export async function forwardPasses({ engine, config, limitMs, time }: Bench): Promise<Outcome> {
  if (engine?.attachForwardPassPublisher === undefined) {
    return notApplicable("the engine has no attachForwardPassPublisher");
  }
  const ranks = rankRange(config ?? {});
  const attached = await within(
    time.patience,
    limitMs,
    () => engine.attachForwardPassPublisher!({ publish: (dpRank, pass) => checkForwardPass(ranks, dpRank, pass) }),
  );
  if (attached.kind === "done") return PASSED;
  const what = attached.kind === "late"
    ? `did not finish within ${inSeconds(limitMs)}`
    : `threw: ${describe(attached.error)}`;
  return failed("ForwardPassesFailed", `attachForwardPassPublisher ${what}`);
}

async function check({ engine, config, limitMs, time }: Bench, hook: RankHook): Promise<Outcome> {
  if (engine?.[hook.name] === undefined) return notApplicable(`the engine has no ${hook.name}`);
  const asked: string[] = [];
  for (const call of [hook.name, `a second ${hook.name}`]) {
    const told = await within(time.patience, limitMs, () => hook.ask(engine));
    if (told.kind === "late") return failed(hook.failed, `${call} did not finish within ${inSeconds(limitMs)}`);
    if (told.kind === "threw") return failed(hook.failed, `${call} threw: ${describe(told.error)}`);
    const fault = faultOf(told.value, rankRange(config ?? {}));
    if (fault !== null) return failed(hook.failed, `${call} ${fault}`);
    asked.push((told.value as readonly number[]).toSorted((a, b) => a - b).join(", "));
  }
  const [first, second] = asked;
  return first === second
    ? PASSED
    : failed(hook.notIdempotent, `${hook.name} told ranks [${first}], and [${second}] the second time`);
}

/** What a worker would refuse. */
function faultOf(ranks: unknown, { start, size }: RankRange): string | null {
  if (!Array.isArray(ranks)) return "returned no list";
  const foreign = ranks.find((rank) => !Number.isInteger(rank) || rank < start || rank >= start + size);
  if (foreign !== undefined) return `told rank ${foreign}, but the engine's ranks are ${start} to ${start + size - 1}`;
  return new Set(ranks).size === ranks.length ? null : "told a rank twice";
}
