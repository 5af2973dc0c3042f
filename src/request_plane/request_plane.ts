/**
 * The request-plane seam: how requests reach the worker. A plane only turns bytes into calls of an {@linkcode Accept}.
 *
 * @module
 */
import type { EndpointName, InstanceTransport } from "../protocol/record.ts";

/** A request as a plane delivers it. Its views are valid during the call only. */
export interface RawRequest {
  /** Headers of the transport: as they are, or as a JSON object of strings in UTF-8, which may be empty. */
  readonly headers: Uint8Array | Readonly<Record<string, string>>;
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

/** An endpoint that takes requests. Disposing it takes or refuses what has come, and then no more; those accepted go on. */
export interface ServedEndpoint extends AsyncDisposable {
  /** How a frontend reaches it. */
  readonly transport: InstanceTransport;
}

/** One way in for all endpoints of a worker. Disposing it closes what it has opened. */
export interface RequestPlane extends AsyncDisposable {
  /** Name of the plane, as in `--request-plane`. */
  readonly name: string;
  /**
   * Starts to take requests for an endpoint; resolves when whoever is told of it can reach it.
   *
   * @throws {DynamoError} If that cannot be.
   */
  serve(name: EndpointName, instanceId: bigint, accept: Accept): Promise<ServedEndpoint>;
}
