/**
 * Settings of the live mock engine.
 *
 * @module
 */
import type { LaunchArgs } from "../launch_args.ts";
import type { TimingTableArrays } from "../timing_table.ts";
import type { AnswerSettings } from "./answer_tokens.ts";
import type { FaultSettings } from "./faults.ts";
import type { PlannedAnswers } from "./planned_answers.ts";

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
  /** Answers that requests may name; `undefined` if there is no trace of them. */
  readonly plannedAnswers?: PlannedAnswers;
  /** How long the engine takes to start. @unit milliseconds */
  readonly slowStartMs: number;
  /** What goes wrong. */
  readonly faults: FaultSettings;
  /** What decode workers are told to dial; `undefined`: the own address. */
  readonly bootstrapHost?: string;
}
