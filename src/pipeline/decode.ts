/**
 * A request's bytes as values: the head before the acknowledgement, the body after it.
 *
 * @module
 */
import { decodeHeaders, decodeRequestHead, type RequestHead } from "../protocol/control.ts";
import { DynamoError } from "../protocol/error.ts";
import { decodeTwoPart } from "../protocol/frame.ts";
import { decodeMsgpack, decodeText, parseJson } from "../protocol/payload.ts";
import type { PayloadCodec } from "../protocol/record.ts";
import type { RawRequest } from "../request_plane/request_plane.ts";

/** A request whose head is read and whose body is not. */
export interface Envelope {
  /** The control header. */
  readonly head: RequestHead;
  /** Headers of the transport. */
  readonly headers: Readonly<Record<string, string>>;
  /** The body, in the codec of the head. */
  readonly body: Uint8Array;
}

/**
 * Reads what must be known before a request is accepted.
 *
 * @throws {SyntaxError} Whose message says why the request cannot be answered.
 */
export function decodeEnvelope(raw: RawRequest): Envelope {
  const envelope = decodeTwoPart(raw.payload);
  if (envelope === null) throw new SyntaxError("the payload is no two-part envelope");
  const head = decodeRequestHead(envelope.header);
  const headers = raw.headers instanceof Uint8Array ? decodeHeaders(raw.headers) : raw.headers;
  // The plane's views end with the call; the body is read later.
  return { head, headers, body: envelope.body.slice() };
}

/**
 * Decodes a request body.
 *
 * @throws {DynamoError} `InvalidArgument` if the bytes are not of that codec.
 */
export function decodeBody(body: Uint8Array, codec: PayloadCodec): unknown {
  try {
    return codec === "msgpack" ? decodeMsgpack(body) : parseJson(decodeText(body));
  } catch (cause) {
    throw new DynamoError(
      "InvalidArgument",
      `the request body is not ${codec === "msgpack" ? "MessagePack" : "JSON"}`,
      {
        cause,
      },
    );
  }
}

const TRACE_HEADERS = ["traceparent", "tracestate", "request-id", "x-request-id"] as const;

/** The headers that go along to other services. */
export function pickTraceHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const picked: Record<string, string> = {};
  for (const name of TRACE_HEADERS) {
    const value = headers[name];
    if (value !== undefined) picked[name] = value;
  }
  return picked;
}
