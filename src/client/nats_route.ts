/**
 * Requests over NATS: messages to a worker's subject, whose reply is the acknowledgement.
 *
 * @module
 */
import { DynamoError } from "../protocol/error.ts";
import { decodeText } from "../protocol/payload.ts";
import { ackError, cannotConnect, clientError, timedOut } from "./client_error.ts";
import type { ClientError } from "./client_error.ts";
import type { Departing, Outgoing, Route } from "./route.ts";

/** What a client needs of a connection to NATS. Disposing it closes it. */
export interface NatsRequests extends AsyncDisposable {
  /** Longest message the server takes. @unit bytes */
  readonly maxPayload: number;
  /**
   * Sends a message and waits for its answer.
   *
   * @param timeoutMs Longest wait. @unit milliseconds
   * @throws {DynamoError} `CannotConnect` if nobody takes it, `ConnectionTimeout` if no answer comes in time.
   */
  request(
    subject: string,
    bytes: Uint8Array,
    headers: Readonly<Record<string, string>>,
    timeoutMs: number,
  ): Promise<Uint8Array>;
}

/** Connects to NATS. */
export type OpenNats = () => Promise<NatsRequests>;

/** Settings of a {@linkcode NatsRoute}. */
export interface NatsRouteOptions {
  /** How to connect; `null` if workers on NATS are out of reach. */
  readonly open: OpenNats | null;
  /** Time from a request to its acknowledgement. @unit milliseconds */
  readonly ackTimeoutMs: number;
}

/** The way to workers that subscribe. */
export class NatsRoute implements Route {
  readonly #options: NatsRouteOptions;
  #connection: Promise<NatsRequests> | null = null;

  /** Makes a route that is not connected yet. */
  constructor(options: NatsRouteOptions) {
    this.#options = options;
  }

  prepare(subject: string, request: Outgoing): Departing {
    const { open } = this.#options;
    if (open === null) throw new TypeError("this client does not reach workers over the nats request plane");
    let wasSent = false;
    return {
      send: () =>
        void this.#send(open, subject, request, () => {
          wasSent = true;
        }),
      release: () => wasSent,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const connection = await this.#connection?.catch(() => null);
    await connection?.[Symbol.asyncDispose]();
  }

  async #send(open: OpenNats, subject: string, { call, headers, envelope }: Outgoing, sent: () => void): Promise<void> {
    try {
      const nats = await this.#connect(open);
      if (call.isEnded) return;
      if (envelope.length > nats.maxPayload) {
        const text = `Cannot send request: ${envelope.length} bytes, NATS takes at most ${nats.maxPayload}`;
        return call.lose(clientError("InvalidRequest", "request.invalid_argument", text));
      }
      sent();
      const ack = await nats.request(subject, envelope, headers, this.#options.ackTimeoutMs);
      if (ack.length > 0) call.lose(ackError(decodeText(ack)));
    } catch (error) {
      call.lose(lost(error));
    }
  }

  /** Connects once; a connection that could not be made is tried again with the next request. */
  #connect(open: OpenNats): Promise<NatsRequests> {
    this.#connection ??= open().catch((error) => {
      this.#connection = null;
      throw error;
    });
    return this.#connection;
  }
}

function lost(error: unknown): ClientError {
  const { kind, message } = DynamoError.from(error);
  return kind === "ConnectionTimeout" ? timedOut(message) : cannotConnect(message, error);
}
