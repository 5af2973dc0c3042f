/**
 * The part of engine arguments that only Dynamo's side of the mocker reads.
 *
 * @source dynamo-mocker 1.6.1, `config.rs`, `common/protocols.rs`: names, defaults, rules
 * @module
 */
import { boolean, count, number, orNull, readFields, text } from "./json_fields.ts";

/** How long the reasoning part of an answer is, and what begins and ends it. */
export interface ReasoningArgs {
  /** First token of an answer. */
  readonly start_thinking_token_id: number;
  /** Last token of the reasoning part. */
  readonly end_thinking_token_id: number;
  /** Share of the answer that is reasoning, 0 to 1. */
  readonly thinking_ratio: number;
}

/** What only Dynamo's part of the mocker reads. */
export interface DynamoArgs {
  /** Whether the worker answers for its own cache. */
  readonly enable_local_indexer: boolean;
  /** Where a prefill worker listens for decode workers. */
  readonly bootstrap_port: number | null;
  /** Longest hand-over. @unit milliseconds */
  readonly handoff_session_timeout_ms: number;
  /** Which tokens begin and end a reasoning part. */
  readonly reasoning: ReasoningArgs | null;
  /** File with planned answers. */
  readonly response_replay_trace_path: string | null;
  /** Where KV events are published; rank r has the port that is r higher. */
  readonly zmq_kv_events_port: number | null;
  /** Where missed KV events are asked for; rank r has the port that is r higher. */
  readonly zmq_replay_port: number | null;
  /** Order of the queue of a replay router. */
  readonly router_queue_policy: string | null;
}

const MAX_PORT = 0xffff;
const MAX_TOKEN_ID = 0xffff_ffff;

const port = orNull(upTo(MAX_PORT));
const tokenId = upTo(MAX_TOKEN_ID);

const DYNAMO = {
  enable_local_indexer: boolean,
  bootstrap_port: port,
  handoff_session_timeout_ms: count,
  reasoning: orNull(reasoningArgs),
  response_replay_trace_path: orNull(text),
  zmq_kv_events_port: port,
  zmq_replay_port: port,
  router_queue_policy: orNull(text),
};

const REASONING = { start_thinking_token_id: tokenId, end_thinking_token_id: tokenId, thinking_ratio: number };

/**
 * Reads the `dynamo` object of engine arguments.
 *
 * @throws {TypeError} If a field is unknown or of the wrong type; the message names it.
 * @throws {RangeError} If a value is out of range.
 */
export function dynamoArgs(value: unknown): DynamoArgs {
  const given = readFields(value, "dynamo", DYNAMO);
  const timeout = given.handoff_session_timeout_ms ?? 300_000;
  if (timeout === 0) throw new RangeError("handoff_session_timeout_ms must be positive");
  return {
    enable_local_indexer: given.enable_local_indexer ?? false,
    bootstrap_port: given.bootstrap_port ?? null,
    handoff_session_timeout_ms: timeout,
    reasoning: given.reasoning ?? null,
    response_replay_trace_path: given.response_replay_trace_path ?? null,
    zmq_kv_events_port: given.zmq_kv_events_port ?? null,
    zmq_replay_port: given.zmq_replay_port ?? null,
    router_queue_policy: given.router_queue_policy ?? null,
  };
}

function reasoningArgs(value: unknown, path: string): ReasoningArgs {
  const given = readFields(value, path, REASONING);
  for (const name of Object.keys(REASONING) as (keyof typeof REASONING)[]) {
    if (given[name] === undefined) throw new TypeError(`${path}: missing field \`${name}\``);
  }
  const { thinking_ratio: ratio } = given as ReasoningArgs;
  if (ratio >= 0 && ratio <= 1) return given as ReasoningArgs;
  throw new RangeError(`${path}.thinking_ratio must be in [0, 1], not ${ratio}`);
}

function upTo(most: number): (value: unknown, path: string) => number {
  return (value, path) => {
    const whole = count(value, path);
    if (whole <= most) return whole;
    throw new RangeError(`${path}: ${whole} is more than ${most}`);
  };
}
