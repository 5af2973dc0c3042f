/**
 * What the checks of the conformance kit share: the engine under test, its requests, its time.
 *
 * @module
 */
import type { Engine, EngineConfig } from "../engine/engine.ts";
import { type GenerateRequest, parseRequest } from "../protocol/request.ts";
import type { CheckResult, ConformanceCheck, ConformanceFailure } from "./conformance_report.ts";
import type { KitTime } from "./kit_time.ts";

/** A worker's part in serving, as far as engines differ by it. */
export type ConformanceRole = "agg" | "prefill" | "decode" | "encode";

/** The engine under test. */
export interface Bench {
  /** Makes another engine. */
  readonly factory: () => Engine | Promise<Engine>;
  /** Its part in serving. */
  readonly role: ConformanceRole;
  /** Members that every request gets. */
  readonly members: Readonly<Record<string, unknown>>;
  /** Time. */
  readonly time: KitTime;
  /** How long a call or a stream may really take. @unit milliseconds */
  readonly limitMs: number;
  /** The engine, once there is one. */
  engine: Engine | null;
  /** What `start` returned. */
  config: EngineConfig | null;
}

/** How a check ended. */
export type Outcome = Pick<CheckResult, "status" | "failure" | "message">;

/** One check. */
export interface Check {
  /** Its name. */
  readonly name: ConformanceCheck;
  /** Checks that must not have failed before, since this one would only tell the same again. */
  readonly needs?: readonly ConformanceCheck[];
  /** Parts in serving that it makes no sense for. */
  readonly notFor?: readonly ConformanceRole[];
  /** Runs it. */
  run(bench: Bench): Promise<Outcome>;
}

/** How long an engine may go on after its request was cancelled. @unit milliseconds @source dynamo-backend-common 1.6.1, `DEFAULT_CANCEL_DEADLINE` */
export const CANCEL_LIMIT_MS = 2000;

/** A check that passed. */
export const PASSED: Outcome = { status: "passed", failure: null, message: "" };

/** A check that failed. */
export function failed(failure: ConformanceFailure, message: string): Outcome {
  return { status: "failed", failure, message };
}

/** A check that says nothing about this engine. */
export function notApplicable(message: string): Outcome {
  return { status: "not_applicable", failure: null, message };
}

/** What was thrown, in words. */
export function describe(thrown: unknown): string {
  return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
}

/** A time limit, in words. @param ms The limit, in milliseconds. */
export function inSeconds(ms: number): string {
  return `${ms / 1000} s`;
}

/** What a request asks for. */
export interface Wish {
  /** Length of the prompt. @unit tokens @default 3 */
  readonly promptTokens?: number;
  /** Most tokens of the answer; a prefill worker is only ever asked for one, except to cancel it. @default 8 */
  readonly maxTokens?: number;
  /** Alternatives per token. */
  readonly logprobs?: number;
}

/**
 * Makes a request like a frontend's.
 *
 * @source dynamo-backend-common 1.6.1, `testing.rs`: prompt 1 2 3, eight tokens, one image for encode workers
 */
export function requestFor({ role, members, config }: Bench, wish: Wish = {}): GenerateRequest {
  const { promptTokens = 3, maxTokens = role === "prefill" ? 1 : 8, logprobs = null } = wish;
  return parseRequest({
    model: config?.model ?? "",
    token_ids: Array.from({ length: promptTokens }, (_, i) => i + 1),
    stop_conditions: { max_tokens: maxTokens },
    output_options: { logprobs },
    ...(role === "decode" ? { prefill_result: { disaggregated_params: {} } } : {}),
    ...(role === "encode"
      ? {
        multi_modal_data: { image_url: [{ Url: "data:image/png;base64,AA==" }] },
        mm_processor_kwargs: { min_pixels: 64 },
      }
      : {}),
    ...members,
  });
}
