/**
 * The frontend's half of both planes: sends requests to workers and reads what they answer.
 *
 * @module
 */
import type { Clock, Net, Random, SocketAddress } from "../platform/platform.ts";
import { encodeRequestHead } from "../protocol/control.ts";
import { encodeTwoPart } from "../protocol/frame.ts";
import { encodeMsgpack, encodeText, stringifyJson } from "../protocol/payload.ts";
import { instanceKey, type InstanceRecord, type PayloadCodec } from "../protocol/record.ts";
import { Call, type ResponseHandlers, type StartedRequest } from "./call.ts";
import { CallHomeListener } from "./call_home.ts";
import { cancelled, clientError, disconnected } from "./client_error.ts";
import { Deadlines } from "./deadlines.ts";
import { NatsRoute, type OpenNats } from "./nats_route.ts";
import { openStream, type ResponseStream } from "./response_stream.ts";
import type { Departing, Outgoing } from "./route.ts";
import { TcpRoute } from "./tcp_route.ts";

export type { ResponseHandlers, ResponseItem, StartedRequest } from "./call.ts";
export { ClientError } from "./client_error.ts";
export type { NatsRequests, OpenNats } from "./nats_route.ts";
export type { ResponseStream } from "./response_stream.ts";

/** Where a client reports what no caller sees. */
export interface ClientLog {
  /** Detail. */
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Settings of a client. */
export interface ClientOptions {
  /** TCP. */
  readonly net: Net;
  /** Time. */
  readonly clock: Clock;
  /** Ids and subjects. */
  readonly random: Random;
  /** Log. */
  readonly log?: ClientLog;
  /** Address to listen on for workers that call home. @default "127.0.0.1" @env DYN_TCP_RESPONSE_STREAM_HOST */
  readonly responseHost?: string;
  /** Port to listen on; 0 is any free one. @default 0 @env DYN_TCP_RESPONSE_STREAM_PORT */
  readonly responsePort?: number;
  /** Address that workers are told to dial, as an IP literal. @default the one listened on */
  readonly advertisedHost?: string;
  /** Time to connect to a worker. @unit milliseconds @default 5000 */
  readonly connectTimeoutMs?: number;
  /** Time from a request to its acknowledgement. @unit milliseconds @default 5000 @env DYN_TCP_REQUEST_TIMEOUT */
  readonly ackTimeoutMs?: number;
  /** Time from a worker's call to its handshake. @unit milliseconds @default 10000 */
  readonly handshakeTimeoutMs?: number;
  /** Time a worker has to finish or close when there is nothing more to say. @unit milliseconds @default 1000 */
  readonly lingerMs?: number;
  /** Longest request or response frame. @unit bytes @default 33554432 @env DYN_TCP_MAX_MESSAGE_SIZE */
  readonly maxFrameBytes?: number;
  /** Connects to NATS, for workers whose request plane it is; called for the first request. Without, they fail. */
  readonly openNats?: OpenNats;
}

/** One request to a worker. */
export interface ClientRequest {
  /** Request id. @default a random UUID */
  readonly id?: string;
  /** The body, in the shape of Dynamo's preprocessed request; it is encoded as it is. */
  readonly body: unknown;
  /** Encoding of body and items. @default what the instance announces, else JSON */
  readonly codec?: PayloadCodec;
  /** `x-dynamo-meta-*` entries. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Further headers of the request frame, such as `traceparent`. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A {@linkcode ClientRequest} that a signal can end. */
export interface AbortableRequest extends ClientRequest {
  /** Kills the request when it aborts; the response then ends with a `Cancelled` error. */
  readonly signal?: AbortSignal;
}

/** Sends requests and reads responses. Disposing it fails what is pending and frees every socket and timer. */
export interface Client extends AsyncDisposable {
  /** Where workers call home. */
  readonly address: SocketAddress;
  /**
   * Sends a request; resolves once the engine has it, which is when the worker's prologue came.
   *
   * @throws {ClientError} If the worker cannot be reached, refuses the request, or fails before its first item.
   */
  send(instance: InstanceRecord, request: AbortableRequest): Promise<ResponseStream>;
  /** The same with callbacks and no queue: for load. A request that cannot be sent ends at once. */
  start(instance: InstanceRecord, request: ClientRequest, handlers: ResponseHandlers): StartedRequest;
  /** An instance left discovery: requests it has not called home for fail, the others go on. */
  forget(instance: InstanceRecord): void;
}

/** Opens a client, which listens for workers from then on. */
export async function openClient(options: ClientOptions): Promise<Client> {
  const { net, clock, random, log } = options;
  const lingerMs = options.lingerMs ?? 1000;
  const maxFrameBytes = options.maxFrameBytes ?? 32 * 1024 * 1024;
  const callHomes = new CallHomeListener({
    net,
    clock,
    address: { host: options.responseHost ?? "127.0.0.1", port: options.responsePort ?? 0 },
    handshakeTimeoutMs: options.handshakeTimeoutMs ?? 10_000,
    closeTimeoutMs: lingerMs,
    maxFrameBytes,
  });
  await callHomes.open();
  const lingering = new Deadlines(clock, lingerMs);
  const ackTimeoutMs = options.ackTimeoutMs ?? 5000;
  const connectTimeoutMs = options.connectTimeoutMs ?? 5000;
  const tcp = new TcpRoute({
    net,
    clock,
    connectTimeoutMs,
    ackTimeoutMs,
    maxFrameBytes,
    ...(log === undefined ? {} : { log }),
  });
  const nats = new NatsRoute({ open: options.openNats ?? null, ackTimeoutMs });
  const calls = new Set<Call>();
  const home = formatAddress({ ...callHomes.address, ...hostOf(options.advertisedHost) });
  let isClosed = false;

  function prepare({ transport }: InstanceRecord, request: Outgoing): Departing {
    return "tcp" in transport ? tcp.prepare(transport.tcp, request) : nats.prepare(transport.nats_tcp, request);
  }

  function start(instance: InstanceRecord, request: ClientRequest, handlers: ResponseHandlers): StartedRequest {
    const id = request.id ?? random.uuid();
    const codec = request.codec ?? instance.request_plane_codec ?? "json";
    const call: Call = new Call({
      id,
      subject: random.uuid(),
      instance: nameOf(instance),
      codec,
      lingering,
      handlers: {
        ...handlers,
        ended(error) {
          calls.delete(call);
          handlers.ended(error);
        },
      },
    });
    calls.add(call);
    if (isClosed) {
      call.lose(cancelled("client closed"));
      return call;
    }
    try {
      const head = encodeRequestHead({
        id,
        codec,
        callHome: { address: home, subject: call.subject },
        metadata: request.metadata ?? {},
      });
      const body = codec === "msgpack" ? encodeMsgpack(request.body) : encodeText(stringifyJson(request.body));
      const headers = {
        ...request.headers,
        "request-id": id,
        "x-frontend-send-ts-ns": String(BigInt(Math.round(clock.wallTime() * 1000)) * 1000n),
      };
      const departing = prepare(instance, { call, headers, envelope: encodeTwoPart(head, body) });
      callHomes.expect(call);
      call.onSettled = () => callHomes.forget(call, departing.release());
      departing.send();
    } catch (cause) {
      const message = `Cannot send request: ${cause instanceof Error ? cause.message : cause}`;
      call.lose(clientError("InvalidRequest", "request.invalid_argument", message, cause));
    }
    return call;
  }

  return {
    get address() {
      return callHomes.address;
    },
    start,
    send: (instance, request) => openStream((handlers) => start(instance, request, handlers), request.signal),
    forget(instance) {
      const name = nameOf(instance);
      for (const call of [...callHomes.waiting]) {
        if (call.instance === name) call.lose(disconnected("the worker left discovery"));
      }
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      for (const call of [...calls]) call.kill(cancelled("client closed"));
      await Promise.all([tcp[Symbol.asyncDispose](), nats[Symbol.asyncDispose]()]);
      await callHomes[Symbol.asyncDispose]();
      lingering[Symbol.dispose]();
    },
  };
}

function nameOf(instance: InstanceRecord): string {
  return instanceKey(instance, instance.instance_id).path;
}

function hostOf(host: string | undefined): Partial<SocketAddress> {
  return host === undefined ? {} : { host };
}

function formatAddress({ host, port }: SocketAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
