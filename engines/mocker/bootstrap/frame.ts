/**
 * The bytes of a session between a prefill and a decode worker.
 *
 * @source dynamo-mocker 1.6.1, `services/bootstrap.rs`: header, length prefix, limits
 * @module
 */
import { type Message, parseMessage, type SessionIdentity } from "./message.ts";

/** What a decode worker sends first: four letters, version 1, no flags. */
export const SESSION_HEADER: Uint8Array = Uint8Array.of(0x44, 0x4d, 0x48, 0x46, 1, 0, 0, 0);
/** Longest body of a frame. @unit bytes */
export const MAX_FRAME_BYTES: number = 64 * 1024;
const PREFIX_BYTES = 4;
/** Longest text of a refusal that is sent, so that what the other side says fits into an answer. @unit characters */
const MAX_TEXT = 1024;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const MAX_U64 = 2n ** 64n - 1n;

/** One frame. */
export interface Frame {
  /** The session it belongs to. */
  readonly identity: SessionIdentity;
  /** What is said. */
  readonly message: Message;
}

/** A frame as bytes. */
export function encodeFrame(identity: SessionIdentity, message: Message): Uint8Array {
  const { handoff_id, bootstrap_room, request_id } = identity;
  const ids = `"handoff_id":"${handoff_id}","bootstrap_room":${bootstrap_room},"request_id":"${request_id}"`;
  const body = new TextEncoder().encode(`{"identity":{${ids}},"message":${JSON.stringify(message)}}`);
  const frame = new Uint8Array(PREFIX_BYTES + body.length);
  new DataView(frame.buffer).setUint32(0, body.length, true);
  frame.set(body, PREFIX_BYTES);
  return frame;
}

/** A refusal in words, of bounded length. */
export function refusal(kind: "Abort" | "ProtocolError", why: string): Message {
  const message = why.slice(0, MAX_TEXT);
  return kind === "Abort" ? { Abort: { message } } : { ProtocolError: { message } };
}

/** A UUID with hyphens in small letters, as frames have it; `undefined` if the text is none. */
export function normalizedUuid(text: string): string | undefined {
  const digits = text.toLowerCase().replaceAll("-", "");
  const uuid = digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  return UUID.test(uuid) ? uuid : undefined;
}

/** Cuts bytes into frames. */
export class FrameReader {
  #needsHeader: boolean;
  #buffer = new Uint8Array(512);
  #length = 0;

  /** Makes a reader. @param needsHeader Whether the session begins here. */
  constructor(needsHeader: boolean) {
    this.#needsHeader = needsHeader;
  }

  /**
   * Takes bytes, and gives the frames that are complete now.
   *
   * @throws {SyntaxError} If they are not what a session is made of. The reader is of no use then.
   */
  push(bytes: Uint8Array): Frame[] {
    this.#append(bytes);
    const frames: Frame[] = [];
    let place = this.#skipHeader();
    if (this.#needsHeader) return frames;
    const view = new DataView(this.#buffer.buffer);
    while (this.#length - place >= PREFIX_BYTES) {
      const length = view.getUint32(place, true);
      if (length === 0 || length > MAX_FRAME_BYTES) {
        throw new SyntaxError(`a frame of ${length} bytes; 1 to ${MAX_FRAME_BYTES} are allowed`);
      }
      const end = place + PREFIX_BYTES + length;
      if (end > this.#length) break;
      frames.push(decodeBody(this.#buffer.subarray(place + PREFIX_BYTES, end)));
      place = end;
    }
    this.#buffer.copyWithin(0, place, this.#length);
    this.#length -= place;
    return frames;
  }

  /** Where frames begin. */
  #skipHeader(): number {
    if (!this.#needsHeader) return 0;
    const seen = Math.min(this.#length, SESSION_HEADER.length);
    for (let i = 0; i < seen; i++) {
      if (this.#buffer[i] !== SESSION_HEADER[i]) throw new SyntaxError(`a header that differs at byte ${i}`);
    }
    if (seen < SESSION_HEADER.length) return 0;
    this.#needsHeader = false;
    return seen;
  }

  #append(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#buffer.length) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#buffer.length));
      grown.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = grown;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length = length;
  }
}

function decodeBody(bytes: Uint8Array): Frame {
  const text = new TextDecoder("utf-8", { fatal: true });
  let body: { identity?: Partial<Record<keyof SessionIdentity, unknown>>; message?: unknown } | null;
  try {
    // The room is 64 bits wide. Inside of a string the second quote would be escaped, so only a member fits.
    body = JSON.parse(text.decode(bytes).replaceAll(/("bootstrap_room"\s*:\s*)(\d+)/g, '$1"$2"'));
  } catch {
    throw new SyntaxError("a frame that is not JSON");
  }
  const { handoff_id, bootstrap_room, request_id } = body?.identity ?? {};
  const [handoff, request] = [uuidOf(handoff_id, "handoff_id"), uuidOf(request_id, "request_id")];
  const isRoom = typeof bootstrap_room === "string" && /^\d{1,20}$/.test(bootstrap_room);
  if (!isRoom || BigInt(bootstrap_room) > MAX_U64) throw new SyntaxError("bootstrap_room is not 64 bits wide");
  const identity = { handoff_id: handoff, bootstrap_room: BigInt(bootstrap_room), request_id: request };
  return { identity, message: parseMessage(body?.message) };
}

function uuidOf(value: unknown, what: string): string {
  const uuid = typeof value === "string" ? normalizedUuid(value) : undefined;
  if (uuid === undefined) throw new SyntaxError(`${what} is not a UUID`);
  return uuid;
}
