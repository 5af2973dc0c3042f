/**
 * What prefill and decode workers say to each other about one prompt.
 *
 * @source dynamo-mocker 1.6.1, `services/bootstrap.rs`, `common/handoff.rs`: names and shapes
 * @module
 */
import type { Backend } from "../args.ts";
import type { TransferTiming } from "../handoff.ts";

/** Whether room is asked for after the prompt is computed, or before. */
export type HandoffOrder = "SourceFirst" | "DestinationFirst";

/** Which request a session is about; the same in every frame. */
export interface SessionIdentity {
  /** UUID of the hand-over. */
  readonly handoff_id: string;
  /** Meeting point, 64 bits wide. */
  readonly bootstrap_room: bigint;
  /** UUID of the request. */
  readonly request_id: string;
}

/** How a decode worker introduces itself. */
export interface Registration {
  /** The only role there is. */
  readonly role: "Destination";
  /** Its rank. */
  readonly dp_rank: number;
  /** The order it expects. */
  readonly order: HandoffOrder;
  /** Whose scheduling it imitates. */
  readonly engine_type: Backend;
}

/** What a prefill worker asks of a decode worker. */
export type DestinationAction = "ReserveDestination" | "ActivateDestination" | "CancelDestination";

/** An action with its number; one member, named by the action. */
export interface IssuedAction {
  /** Its number in the session. */
  readonly id: number;
  /** What is to be done. */
  readonly action: Readonly<Record<string, { readonly handoff_id: string }>>;
}

/** What became of an action. */
export type ActionOutcome = "Submitted" | "Accepted" | "Scheduled" | "Applied" | "Noop" | { readonly Failed: string };

/** Something that happened in a scheduler. */
export type HandoffFact =
  | { readonly SourceHeld: { readonly handoff_id: string; readonly transfer_timing: TransferTiming } }
  | { readonly DestinationReserved: { readonly handoff_id: string; readonly transferable_prompt_tokens: number } };

/** The body of a frame. */
export type Message =
  | "Registered"
  | "Complete"
  | "Overloaded"
  | { readonly Register: Registration }
  | { readonly Fact: HandoffFact }
  | { readonly Action: IssuedAction }
  | { readonly ActionAck: { readonly action_id: number; readonly outcome: ActionOutcome } }
  | { readonly Abort: { readonly message: string } }
  | { readonly ProtocolError: { readonly message: string } };

/** The order of an engine's hand-overs. @throws {RangeError} If it has none. */
export function handoffOrder(backend: Backend): HandoffOrder {
  if (backend === "trtllm") throw new RangeError("an engine of type trtllm cannot hand over");
  return backend === "sglang" ? "DestinationFirst" : "SourceFirst";
}

/** Name and hand-over of an action. */
export function actionOf({ action }: IssuedAction): { readonly name: string; readonly handoffId: string } {
  const [[name, { handoff_id }]] = Object.entries(action) as [[string, { handoff_id: string }]];
  return { name, handoffId: handoff_id };
}

/** Whether two sessions are the same. */
export function isSameSession(one: SessionIdentity, other: SessionIdentity): boolean {
  return one.handoff_id === other.handoff_id && one.bootstrap_room === other.bootstrap_room &&
    one.request_id === other.request_id;
}

/**
 * Reads the body of a frame; members that are not known are left alone.
 *
 * @throws {SyntaxError} If it is none of the messages.
 */
export function parseMessage(value: unknown): Message {
  if (value === "Registered" || value === "Complete" || value === "Overloaded") return value;
  const [name, body] = variant(value, "message");
  switch (name) {
    case "Register":
      return { Register: parseRegistration(body) };
    case "Fact":
      return { Fact: parseFact(body) };
    case "Action":
      return { Action: { id: count(body.id, "action id"), action: parseAction(body.action) } };
    case "ActionAck":
      return { ActionAck: { action_id: count(body.action_id, "action id"), outcome: parseOutcome(body.outcome) } };
    case "Abort":
      return { Abort: { message: text(body.message, "message") } };
    case "ProtocolError":
      return { ProtocolError: { message: text(body.message, "message") } };
    default:
      throw new SyntaxError(`there is no message ${name}`);
  }
}

type Fields = Readonly<Record<string, unknown>>;

function parseRegistration(body: Fields): Registration {
  return {
    role: oneOf(body.role, "role", ["Destination"]),
    dp_rank: count(body.dp_rank, "dp_rank"),
    order: oneOf(body.order, "order", ["SourceFirst", "DestinationFirst"]),
    engine_type: oneOf(body.engine_type, "engine_type", ["vllm", "sglang", "trtllm"]),
  };
}

function parseFact(value: Fields): HandoffFact {
  const [name, body] = variant(value, "fact");
  const handoff_id = text(body.handoff_id, "handoff_id");
  if (name === "SourceHeld") {
    return {
      SourceHeld: { handoff_id, transfer_timing: parseTiming(fields(body.transfer_timing, "transfer_timing")) },
    };
  }
  if (name === "DestinationReserved") {
    const tokens = count(body.transferable_prompt_tokens, "transferable_prompt_tokens");
    return { DestinationReserved: { handoff_id, transferable_prompt_tokens: tokens } };
  }
  throw new SyntaxError(`the fact ${name} is not for others`);
}

function parseTiming(body: Fields): TransferTiming {
  const bytes = body.kv_bytes_per_token ?? null;
  const bandwidth = body.bandwidth_gb_s ?? null;
  if (bandwidth !== null && !(typeof bandwidth === "number" && bandwidth >= 0 && bandwidth < Infinity)) {
    throw new SyntaxError("bandwidth_gb_s is not a number from 0");
  }
  return {
    mode: oneOf(body.mode, "mode", ["full_prompt", "destination_missing"]),
    full_prompt_tokens: count(body.full_prompt_tokens, "full_prompt_tokens"),
    kv_bytes_per_token: bytes === null ? null : count(bytes, "kv_bytes_per_token"),
    bandwidth_gb_s: bandwidth,
  };
}

function parseAction(value: unknown): IssuedAction["action"] {
  const [name, body] = variant(value, "action");
  return { [name]: { handoff_id: text(body.handoff_id, "handoff_id") } };
}

function parseOutcome(value: unknown): ActionOutcome {
  if (typeof value === "string") {
    return oneOf(value, "outcome", ["Submitted", "Accepted", "Scheduled", "Applied", "Noop"]);
  }
  return { Failed: text(fields(value, "outcome").Failed, "outcome") };
}

/** The one member of an object, which says what it is. */
function variant(value: unknown, what: string): [string, Fields] {
  const members = Object.entries(fields(value, what));
  if (members.length !== 1) throw new SyntaxError(`the ${what} is not an object with one member`);
  const [[name, body]] = members as [[string, unknown]];
  return [name, fields(body, name)];
}

function fields(value: unknown, what: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw new SyntaxError(`the ${what} is not an object`);
}

function count(value: unknown, what: string): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new SyntaxError(`${what} is not a whole number from 0`);
}

function text(value: unknown, what: string): string {
  if (typeof value === "string") return value;
  throw new SyntaxError(`${what} is not text`);
}

function oneOf<const T extends readonly string[]>(value: unknown, what: string, words: T): T[number] {
  if (typeof value === "string" && words.includes(value)) return value;
  throw new SyntaxError(`${what} is none of ${words.join(", ")}`);
}
