/**
 * Commands: what the two sides of a connection tell each other beside messages.
 *
 * @module
 */
import { ZmtpError } from "./error.ts";
import { encodeCommandFrame } from "./frame.ts";
import { joinBytes } from "./join_bytes.ts";

/** A peer's properties, such as `Socket-Type`. Decoded names are in lower case, since case does not matter. */
export type Metadata = ReadonlyMap<string, Uint8Array>;

/** A command. Byte fields of a decoded one are views of what was decoded. */
export type Command =
  | { readonly name: "READY"; readonly metadata: Metadata }
  | { readonly name: "ERROR"; readonly reason: string }
  | { readonly name: "SUBSCRIBE" | "CANCEL"; readonly topic: Uint8Array }
  | Ping
  | { readonly name: "PONG"; readonly context: Uint8Array }
  | { readonly name: "unknown"; readonly command: string; readonly data: Uint8Array };

/** Asks for a PONG. */
export interface Ping {
  /** Which command it is. */
  readonly name: "PING";
  /** Silence after which the sender wants to be given up; 0 means never. In steps of 100. @unit milliseconds */
  readonly ttlMs: number;
  /** Comes back in the PONG; at most 16 bytes. */
  readonly context: Uint8Array;
}

/** Longest context of a PING. @unit bytes */
const MAX_CONTEXT_BYTES = 16;
/** Longest reason of an ERROR, and longest name. @unit bytes */
const MAX_SHORT_BYTES = 255;
/** A TTL counts tenths of a second. @unit milliseconds */
const TTL_STEP_MS = 100;

const encoder = new TextEncoder();
// What a peer says must not fail to be shown.
const decoder = new TextDecoder();

/** Encodes a command, its frame included. @throws {RangeError} If a field is too long for its place. */
export function encodeCommand(command: Command): Uint8Array {
  const name = encoder.encode(command.name === "unknown" ? command.command : command.name);
  return encodeCommandFrame(joinBytes([short(name, "command name"), encodeData(command)]));
}

function encodeData(command: Command): Uint8Array {
  switch (command.name) {
    case "READY":
      return joinBytes([...command.metadata].flatMap(([name, value]) => [
        short(encoder.encode(name), "property name"),
        u32(value.length),
        value,
      ]));
    case "ERROR":
      return short(encoder.encode(command.reason), "reason");
    case "SUBSCRIBE":
    case "CANCEL":
      return command.topic;
    case "PING": {
      const ttl = Math.min(0xffff, Math.ceil(command.ttlMs / TTL_STEP_MS));
      return joinBytes([Uint8Array.of(ttl >>> 8, ttl), checkContext(command.context)]);
    }
    case "PONG":
      return checkContext(command.context);
    case "unknown":
      return command.data;
  }
}

/**
 * Decodes the body of a command's frame.
 *
 * @throws {ZmtpError} `protocol` if it is no command, or one that is known and malformed.
 */
export function decodeCommand(body: Uint8Array): Command {
  const end = 1 + (body[0] ?? 0);
  if (end === 1 || end > body.length) throw new ZmtpError("protocol", "The peer sent a command without a name");
  const name = decoder.decode(body.subarray(1, end));
  const data = body.subarray(end);
  switch (name) {
    case "READY":
      return { name, metadata: decodeMetadata(data) };
    case "ERROR":
      if (data.length === 0 || data.length <= data[0]!) throw malformed(name);
      return { name, reason: decoder.decode(data.subarray(1, 1 + data[0]!)) };
    case "SUBSCRIBE":
    case "CANCEL":
      return { name, topic: data };
    case "PING":
      if (data.length < 2 || data.length > 2 + MAX_CONTEXT_BYTES) throw malformed(name);
      return { name, ttlMs: ((data[0]! << 8) | data[1]!) * TTL_STEP_MS, context: data.subarray(2) };
    case "PONG":
      if (data.length > MAX_CONTEXT_BYTES) throw malformed(name);
      return { name, context: data };
    default:
      return { name: "unknown", command: name, data };
  }
}

function decodeMetadata(data: Uint8Array): Metadata {
  const metadata = new Map<string, Uint8Array>();
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (let at = 0; at < data.length;) {
    const nameEnd = at + 1 + data[at]!;
    if (nameEnd === at + 1 || nameEnd + 4 > data.length) throw malformed("READY");
    const end = nameEnd + 4 + view.getUint32(nameEnd);
    if (end > data.length) throw malformed("READY");
    metadata.set(decoder.decode(data.subarray(at + 1, nameEnd)).toLowerCase(), data.subarray(nameEnd + 4, end));
    at = end;
  }
  return metadata;
}

function malformed(name: string): ZmtpError {
  return new ZmtpError("protocol", `The peer sent a malformed ${name} command`);
}

function checkContext(context: Uint8Array): Uint8Array {
  if (context.length <= MAX_CONTEXT_BYTES) return context;
  throw new RangeError(`A context of ${context.length} bytes is too long (max: ${MAX_CONTEXT_BYTES} bytes)`);
}

function short(bytes: Uint8Array, what: string): Uint8Array {
  if (bytes.length <= MAX_SHORT_BYTES) return joinBytes([Uint8Array.of(bytes.length), bytes]);
  throw new RangeError(`A ${what} of ${bytes.length} bytes is too long (max: ${MAX_SHORT_BYTES} bytes)`);
}

function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}
