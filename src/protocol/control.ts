/**
 * Control messages: the head of a request, the frames around the items of a response, the frontend's words.
 *
 * @module
 */
import { parseAddress } from "./address.ts";
import type { DynamoError, WireError } from "./error.ts";
import { encodeTwoPart, type TwoPartFrame } from "./frame.ts";
import { decodeText, encodeMsgpack, encodeText, stringifyJson } from "./payload.ts";
import type { PayloadCodec } from "./record.ts";

/** Where and how to call a frontend back. */
export interface CallHome {
  /** `ip:port` or `[ip]:port`. */
  readonly address: string;
  /** Names the waiting request; usable once. */
  readonly subject: string;
}

/** The control header of a request, checked. */
export interface RequestHead {
  /** Request id. */
  readonly id: string;
  /** Encoding of the body and of every response item. */
  readonly codec: PayloadCodec;
  /** Where the answer goes. */
  readonly callHome: CallHome;
  /** `x-dynamo-meta-*` headers. */
  readonly metadata: Readonly<Record<string, string>>;
}

const NO_BYTES = new Uint8Array(0);
/** Longest control header a frontend sends. @unit bytes @source dynamo-runtime 1.6.1 */
const MAX_CONTROL_HEADER_BYTES = 128 * 1024;

/**
 * Reads the control header of a request.
 *
 * @throws {SyntaxError} Whose message says why this request cannot be answered.
 * @source dynamo-runtime 1.6.1, `RequestControlMessage`
 */
export function decodeRequestHead(header: Uint8Array): RequestHead {
  if (header.length > MAX_CONTROL_HEADER_BYTES) throw new SyntaxError("control header is too long");
  const raw = record(parse(header, "control header"), "control header");
  const id = text(raw.id, "id");
  if (raw.request_type !== undefined && raw.request_type !== "single_in") {
    throw new SyntaxError(`request type ${String(raw.request_type)} is not supported`);
  }
  if (raw.response_type !== undefined && raw.response_type !== "many_out" && raw.response_type !== "single_out") {
    throw new SyntaxError(`response type ${String(raw.response_type)} is not supported`);
  }
  const codec = raw.payload_codec ?? "json";
  if (codec !== "json" && codec !== "msgpack") throw new SyntaxError(`payload codec ${String(codec)} is not supported`);
  return { id, codec, callHome: callHome(raw.connection_info, id), metadata: strings(raw.metadata) };
}

function callHome(value: unknown, id: string): CallHome {
  const info = record(value, "connection_info");
  if (info.transport !== "tcp_server") {
    throw new SyntaxError(`response transport ${String(info.transport)} is not supported, only tcp_server is`);
  }
  const inner = record(parse(encodeText(text(info.info, "connection_info.info")), "connection_info.info"), "info");
  if (inner.stream_type !== "response") {
    throw new SyntaxError(`stream type ${String(inner.stream_type)} is not response`);
  }
  if (inner.context !== id) throw new SyntaxError("connection_info.context differs from the request id");
  const address = text(inner.address, "address");
  parseAddress(address); // an answer that has nowhere to go is refused while that can be said
  return { address, subject: text(inner.subject, "subject") };
}

/** Encodes the control header of a request whose answer goes to `callHome`. */
export function encodeRequestHead(head: RequestHead): Uint8Array {
  const { address, subject } = head.callHome;
  const info = JSON.stringify({ address, subject, context: head.id, stream_type: "response" });
  return encodeText(JSON.stringify({
    id: head.id,
    request_type: "single_in",
    response_type: "many_out",
    payload_codec: head.codec,
    connection_info: { transport: "tcp_server", info },
    ...(Object.keys(head.metadata).length === 0 ? {} : { metadata: head.metadata }),
  }));
}

/** Reads the headers of a request frame; what is no JSON object of strings counts as none. */
export function decodeHeaders(bytes: Uint8Array): Readonly<Record<string, string>> {
  if (bytes.length === 0) return {};
  try {
    return strings(JSON.parse(decodeText(bytes)));
  } catch {
    return {};
  }
}

/** First frame of a response connection: says which request it answers. */
export function encodeHandshake(subject: string): Uint8Array {
  return headerFrame({ subject, stream_type: "response" });
}

/** Frame that opens a response: the engine has the request. */
export const PROLOGUE_OK: Uint8Array = headerFrame({ error: null });

/** Frame that refuses a request; nothing follows it. */
export function encodePrologueError(error: DynamoError): Uint8Array {
  const wire: WireError = error.toWire();
  return headerFrame({ error: wire.message, typed_error: wire });
}

/** Frame that says all items were sent, in each codec. */
export const FINAL: Readonly<Record<PayloadCodec, Uint8Array>> = {
  json: encodeTwoPart(NO_BYTES, encodeText('{"complete_final":true}')),
  msgpack: encodeTwoPart(NO_BYTES, encodeMsgpack({ complete_final: true })),
};

/** Last frame of a response connection. */
export const SENTINEL: Uint8Array = headerFrame("sentinel");

/** What a frontend says on a response connection. */
export type FrontendWord = "stop" | "kill";

/**
 * Why a request was given up.
 *
 * - `stop`: the frontend wants no more tokens.
 * - `kill`: the frontend drops the request; also how a client that left and a stop string arrive.
 * - `disconnect`: the frontend's connection broke.
 * - `deadline`: the worker's time is up.
 * - `drain`: the worker is shutting down.
 */
export type AbortReason = "stop" | "kill" | "disconnect" | "deadline" | "drain";

/** Encodes the frontend's word. */
export function encodeFrontendWord(word: FrontendWord): Uint8Array {
  return headerFrame(word);
}

/** Reads the frontend's word; anything else is a protocol error and counts as `kill`. */
export function decodeFrontendWord(frame: TwoPartFrame): FrontendWord {
  return frame.body.length === 0 && decodeWord(frame.header) === "stop" ? "stop" : "kill";
}

/** What a worker says before its items. */
export type WorkerHeader =
  | { readonly kind: "handshake"; readonly subject: string }
  | { readonly kind: "prologue"; readonly error: string | null; readonly typedError: unknown }
  | { readonly kind: "sentinel" };

/**
 * Reads a header-only frame of a worker.
 *
 * @throws {SyntaxError} If it is none.
 */
export function decodeWorkerHeader(header: Uint8Array): WorkerHeader {
  const value = parse(header, "worker header");
  if (value === "sentinel") return { kind: "sentinel" };
  const raw = record(value, "worker header");
  if (typeof raw.subject === "string") return { kind: "handshake", subject: raw.subject };
  if (!("error" in raw)) throw new SyntaxError("Cannot read worker header: neither handshake nor prologue");
  const error = raw.error === null ? null : String(raw.error);
  return { kind: "prologue", error, typedError: raw.typed_error };
}

function decodeWord(header: Uint8Array): string | null {
  try {
    const value = JSON.parse(decodeText(header));
    return typeof value === "string" ? value : null;
  } catch {
    return null;
  }
}

function headerFrame(value: unknown): Uint8Array {
  return encodeTwoPart(encodeText(stringifyJson(value)), NO_BYTES);
}

function parse(bytes: Uint8Array, name: string): unknown {
  try {
    // No field read here is a 64-bit integer.
    return JSON.parse(decodeText(bytes));
  } catch (cause) {
    throw new SyntaxError(`${name} is not JSON`, { cause });
  }
}

function record(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new SyntaxError(`${name} is not an object`);
  }
  return value as Record<string, unknown>;
}

function text(value: unknown, name: string): string {
  if (typeof value !== "string" || value === "") throw new SyntaxError(`${name} is missing`);
  return value;
}

function strings(value: unknown): Record<string, string> {
  if (typeof value !== "object" || value === null) return {};
  return Object.fromEntries(Object.entries(value).filter((entry) => typeof entry[1] === "string"));
}
