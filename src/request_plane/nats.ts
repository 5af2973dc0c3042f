/**
 * The request plane over NATS: a subscription for each endpoint, and an acknowledgement as the reply to each message.
 *
 * @module
 */
import type { NatsLink, NatsMessage, NatsSubscription } from "../nats/link.ts";
import type { Log } from "../observe/log.ts";
import { type Clock, delay } from "../platform/platform.ts";
import { DynamoError, invalidArgument } from "../protocol/error.ts";
import { encodeText } from "../protocol/payload.ts";
import { type EndpointName, requestSubject } from "../protocol/record.ts";
import type { Accept, RequestPlane, ServedEndpoint } from "./request_plane.ts";

/** Settings of the plane. */
export interface NatsRequestPlaneOptions {
  /** The connection, which others may use too. */
  readonly link: NatsLink;
  /** Time. */
  readonly clock: Clock;
  /** Log. */
  readonly log: Log;
}

/** Only one worker serves a subject; the group is part of what workers are let do. @source dynamo-runtime 1.6.1 */
const QUEUE_GROUP = "q";
/** Longest wait for what a server has sent when an endpoint ends. @unit milliseconds */
const DRAIN_MS = 1000;

const ACCEPTED = new Uint8Array(0);

/** Makes the plane, which is open for as long as the connection is. */
export function openNatsRequestPlane({ link, clock, log }: NatsRequestPlaneOptions): RequestPlane {
  const endpoints = new Set<NatsEndpoint>();
  link.onBack(() => endpoints.forEach((endpoint) => endpoint.renew()));
  return {
    name: "nats",
    async serve(name: EndpointName, instanceId: bigint, accept: Accept): Promise<ServedEndpoint> {
      const endpoint = new NatsEndpoint(link, log, subjectOf(name, instanceId), accept);
      await endpoint.begin();
      endpoints.add(endpoint);
      return {
        transport: { nats_tcp: endpoint.subject },
        async [Symbol.asyncDispose]() {
          endpoints.delete(endpoint);
          await within(clock, DRAIN_MS, endpoint.end());
        },
      };
    },
    [Symbol.asyncDispose]: () => Promise.resolve(endpoints.forEach((endpoint) => void endpoint.end())),
  };
}

function subjectOf(name: EndpointName, instanceId: bigint): string {
  try {
    return requestSubject(name, instanceId);
  } catch (error) {
    throw invalidArgument((error as Error).message);
  }
}

/** Resolves with the promise, or when the time is up. */
async function within(clock: Clock, limitMs: number, promise: Promise<void>): Promise<void> {
  const over = new AbortController();
  void promise.then(() => over.abort(), () => over.abort());
  await delay(clock, limitMs, over.signal);
}

/** One subject. */
class NatsEndpoint {
  readonly subject: string;
  readonly #link: NatsLink;
  readonly #log: Log;
  readonly #accept: Accept;
  #subscription: NatsSubscription | null = null;
  #refusal: Error | null = null;
  #hasBegun = false;

  constructor(link: NatsLink, log: Log, subject: string, accept: Accept) {
    this.#link = link;
    this.#log = log;
    this.subject = subject;
    this.#accept = accept;
  }

  /** Subscribes; resolves when the server has it, so that no request is sent to nobody, or when it is lost. */
  async begin(): Promise<void> {
    this.#subscribe();
    await this.#link.flush();
    this.#hasBegun = true;
    if (this.#refusal === null) return;
    throw new DynamoError("CannotConnect", describe(this.subject, this.#refusal), { cause: this.#refusal });
  }

  /** What the server has refused may be allowed when it is back. */
  renew(): void {
    if (this.#refusal === null) return;
    this.#refusal = null;
    this.#subscribe();
  }

  async end(): Promise<void> {
    await this.#subscription?.drain();
  }

  #subscribe(): void {
    this.#subscription = this.#link.subscribe(this.subject, {
      take: (message) => this.#take(message),
      refused: (error) => {
        this.#refusal = error;
        if (this.#hasBegun) this.#log.error("No requests come over NATS", { error: describe(this.subject, error) });
      },
    }, QUEUE_GROUP);
  }

  #take(message: NatsMessage): void {
    const refusal = this.#accept({ headers: message.headers, payload: message.bytes });
    message.reply(refusal === null ? ACCEPTED : encodeText(refusal));
  }
}

function describe(subject: string, { message }: Error): string {
  return `NATS does not let this worker take requests on ${subject}: ${message}; ` +
    `allow its user to subscribe to it (queue ${QUEUE_GROUP}), or set NATS_AUTH_* to another one`;
}
