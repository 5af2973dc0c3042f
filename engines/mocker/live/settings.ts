/**
 * Settings of the live mock engine.
 *
 * @module
 */
import type { WorkerRole } from "../args.ts";
import type { LaunchArgs } from "../launch_args.ts";
import type { TimingTableArrays } from "../timing_table.ts";
import type { AnswerSettings } from "./answer_tokens.ts";
import type { FaultSettings } from "./faults.ts";

/** All settings; the engine's own are in the peer's form. */
export interface MockerSettings {
  /** Name or folder of the model. */
  readonly modelName: string;
  /** What is simulated. */
  readonly launch: LaunchArgs;
  /** The profile that the timing model names. */
  readonly table?: TimingTableArrays;
  /** Tokens of an answer when the request sets no limit; `undefined`: that is refused, as by the peer. */
  readonly defaultMaxTokens?: number;
  /** Whether the next turn of a conversation finds the blocks of the last answer. */
  readonly cacheAnswers: boolean;
  /** Which tokens come. */
  readonly answers: AnswerSettings;
  /** What goes wrong. */
  readonly faults: FaultSettings;
  /** What decode workers are told to dial; `undefined`: the own address. */
  readonly bootstrapHost?: string;
}

/** The worker's part in serving, in the words of engine arguments. */
export function roleOf(disaggregationMode: string): WorkerRole {
  if (disaggregationMode === "prefill" || disaggregationMode === "decode") return disaggregationMode;
  if (disaggregationMode === "agg" || disaggregationMode === "aggregated") return "aggregated";
  throw new RangeError(`The mock engine cannot be an ${disaggregationMode} worker: choose agg, prefill or decode`);
}
