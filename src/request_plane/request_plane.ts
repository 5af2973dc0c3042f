/**
 * The request-plane seam: how requests reach the worker. A plane only turns bytes into calls of an {@linkcode Accept}.
 *
 * @module
 */
import type { EndpointName, InstanceTransport } from "../protocol/record.ts";

/** A request as a plane delivers it. Its views are valid during the call only. */
export interface RawRequest {
  /** Headers of the transport, a JSON object of strings in UTF-8; may be empty. */
  readonly headers: Uint8Array;
  /** The two-part envelope. */
  readonly payload: Uint8Array;
}

/**
 * Takes or refuses a request, at once, so that acknowledgements keep the order of the requests.
 *
 * @returns `null` if the request is accepted, else a text that starts with one of the two prefixes a frontend
 * understands, `Server overloaded:` and `Server unavailable:`.
 */
export type Accept = (request: RawRequest) => string | null;

/** An endpoint that takes requests. Disposing it refuses further ones; those accepted go on. */
export interface ServedEndpoint extends Disposable {
  /** How a frontend reaches it. */
  readonly transport: InstanceTransport;
}

/** One listener for all endpoints of a worker. Disposing it closes the listener and every connection. */
export interface RequestPlane extends AsyncDisposable {
  /** Name of the plane, as in `--request-plane`. */
  readonly name: string;
  /** Starts to take requests for an endpoint. */
  serve(name: EndpointName, instanceId: bigint, accept: Accept): ServedEndpoint;
}
