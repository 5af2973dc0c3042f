/** A scripted worker: every byte it sends is the test's choice. */
import type { Conn, Net, SocketAddress } from "../../src/platform/platform.ts";
import {
  decodeFrontendWord,
  decodeHeaders,
  decodeRequestHead,
  encodeHandshake,
  FINAL,
  type FrontendWord,
  PROLOGUE_OK,
  type RequestHead,
  SENTINEL,
} from "../../src/protocol/control.ts";
import {
  decodeTwoPart,
  encodeAck,
  encodeTwoPart,
  RequestFrameParser,
  TwoPartParser,
} from "../../src/protocol/frame.ts";
import {
  decodeMsgpack,
  decodeText,
  encodeMsgpack,
  encodeText,
  parseJson,
  stringifyJson,
} from "../../src/protocol/payload.ts";
import type { InstanceRecord, PayloadCodec } from "../../src/protocol/record.ts";

/** One request as it came. */
export interface MiniRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly head: RequestHead;
  readonly body: unknown;
  /** Answers on the request plane; no text accepts. */
  ack(text?: string): void;
  /** Drops the request connection. */
  hangUp(): void;
  /** Dials the frontend; says nothing yet. */
  dial(): Promise<MiniResponse>;
  /** Accepts, dials, greets and opens. */
  answer(): Promise<MiniResponse>;
}

/** One response connection. */
export interface MiniResponse {
  readonly conn: Conn;
  /** What the frontend said so far. */
  readonly words: FrontendWord[];
  /** Resolves with the frontend's first word. */
  readonly word: Promise<FrontendWord>;
  /** Resolves when the frontend has closed its side. */
  readonly closed: Promise<void>;
  write(...frames: Uint8Array[]): void;
  /** Sends an engine chunk, or any annotated item. */
  chunk(chunk: unknown): void;
  item(annotated: unknown): void;
  /** Final frame and sentinel. */
  finish(): void;
}

/** A running scripted worker. */
export interface MiniWorker extends AsyncDisposable {
  readonly instance: InstanceRecord;
  /** Request connections accepted so far. */
  readonly connections: number;
}

const NO_BYTES = new Uint8Array(0);

/** Starts a worker that calls `script` for every request. */
export async function startMiniWorker(
  net: Net,
  script: (request: MiniRequest) => void | Promise<void>,
  options: { readonly codec?: PayloadCodec; readonly instanceId?: bigint } = {},
): Promise<MiniWorker> {
  const conns = new Set<Conn>();
  let connections = 0;
  const failures: unknown[] = [];
  const listener = await net.listen({ host: "127.0.0.1", port: 0 }, (conn) => {
    connections++;
    conns.add(conn);
    const parser = new RequestFrameParser(1 << 25);
    return {
      data: (bytes) =>
        parser.push(bytes, (frame) => {
          const envelope = decodeTwoPart(frame.payload)!;
          const head = decodeRequestHead(envelope.header);
          const request: MiniRequest = {
            path: decodeText(frame.path),
            headers: decodeHeaders(frame.headers),
            head,
            body: head.codec === "msgpack"
              ? decodeMsgpack(envelope.body.slice())
              : parseJson(decodeText(envelope.body)),
            ack: (text) => void conn.write(encodeAck(text === undefined ? NO_BYTES : encodeText(text))),
            hangUp: () => conn.destroy(),
            dial: () => dial(net, head, conns),
            async answer() {
              this.ack();
              const response = await this.dial();
              response.write(encodeHandshake(head.callHome.subject), PROLOGUE_OK);
              return response;
            },
          };
          Promise.resolve(script(request)).catch((error) => failures.push(error));
        }),
      end: () => conn.destroy(),
      closed: () => void conns.delete(conn),
    };
  });
  const instanceId = options.instanceId ?? 0x9da2e903f2d76c86n;
  const { host, port } = listener.address;
  return {
    instance: {
      namespace: "dynamo",
      component: "sample",
      endpoint: "generate",
      instance_id: instanceId,
      transport: { tcp: `${host}:${port}/${instanceId.toString(16)}/dynamo/sample/generate` },
      request_plane_codec: options.codec ?? "msgpack",
    },
    get connections() {
      return connections;
    },
    async [Symbol.asyncDispose]() {
      await listener[Symbol.asyncDispose]();
      for (const conn of conns) conn.destroy();
      if (failures.length > 0) throw failures[0];
    },
  };
}

async function dial(net: Net, head: RequestHead, conns: Set<Conn>): Promise<MiniResponse> {
  const parser = new TwoPartParser(1 << 20);
  const words: FrontendWord[] = [];
  const word = Promise.withResolvers<FrontendWord>();
  const closed = Promise.withResolvers<void>();
  const conn = await net.dial(parseAddress(head.callHome.address), {
    data: (bytes) =>
      parser.push(bytes, (frame) => {
        words.push(decodeFrontendWord(frame));
        word.resolve(words[0]!);
      }),
    end: () => {
      closed.resolve();
      conn.end();
    },
    closed: () => {
      conns.delete(conn);
      closed.resolve();
    },
  });
  conns.add(conn);
  const encode = (value: unknown) => head.codec === "msgpack" ? encodeMsgpack(value) : encodeText(stringifyJson(value));
  const write = (...frames: Uint8Array[]) => frames.forEach((frame) => conn.write(frame.slice()));
  const item = (data: unknown) => write(encodeTwoPart(NO_BYTES, encode({ data, complete_final: false })));
  return {
    conn,
    words,
    word: word.promise,
    closed: closed.promise,
    write,
    item,
    chunk: (data) => item({ data }),
    finish: () => write(FINAL[head.codec], SENTINEL),
  };
}

function parseAddress(text: string): SocketAddress {
  const colon = text.lastIndexOf(":");
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(text.slice(colon + 1)) };
}

/** A script that answers every request with the same chunks, right or wrong. */
export function chunks(...list: unknown[]): (request: MiniRequest) => Promise<void> {
  return async (request) => {
    const response = await request.answer();
    for (const chunk of list) response.chunk(chunk);
    response.finish();
  };
}
