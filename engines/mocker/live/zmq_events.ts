/**
 * KV events of one rank on fixed ports, as vLLM's own sockets have them.
 *
 * @source dynamo-mocker 1.6.1, `services/zmq_events.rs`
 * @module
 */
import type { KvEventSource, KvItem } from "@stator/worker";
import { openPub, openRouter, type PubSocket, type RouterPeer, type SocketParts } from "@stator/worker/zmtp";
import { type BatchOptions, encodeVllmBatch } from "./vllm_batch.ts";

/** Where a rank publishes, and where batches that got lost can be asked for. */
export interface ZmqPorts {
  /** Port of the PUB socket. */
  readonly events: number;
  /** Port of the ROUTER socket; without one nothing is kept. */
  readonly replay?: number;
}

/** Batches that are kept. @source as above, `REPLAY_BUFFER_CAPACITY` */
const KEPT_BATCHES = 10_000;
/** Bytes of them, so that a peer that asks for all gets them in one go. @unit bytes */
const KEPT_BYTES = 32 * 1024 * 1024;
/** What an answer may wait with: all that is kept, with its frames. */
const REPLAY_MARK = { messages: KEPT_BATCHES + 1, bytes: 2 * KEPT_BYTES };

const NOTHING = new Uint8Array(0);
/** The number that ends an answer. */
const END = sequenceBytes(-1n);

/** The sockets of one rank. Disposing it closes them. */
export class ZmqEvents implements AsyncDisposable {
  readonly #undo: AsyncDisposableStack;
  readonly #pub: PubSocket;
  readonly #ports: ZmqPorts;
  readonly #options: BatchOptions;
  readonly #wallTime: () => number;
  #sequence = 0n;
  readonly #kept: { readonly sequence: bigint; readonly payload: Uint8Array }[] = [];
  #keptBytes = 0;

  private constructor(
    undo: AsyncDisposableStack,
    pub: PubSocket,
    ports: ZmqPorts,
    options: BatchOptions & SocketParts,
  ) {
    this.#undo = undo;
    this.#pub = pub;
    this.#ports = ports;
    this.#options = options;
    this.#wallTime = () => options.clock.wallTime() / 1000;
  }

  /** Binds the sockets. @throws {Error} If a port cannot be listened on; the message names it. */
  static async open(ports: ZmqPorts, options: BatchOptions & SocketParts): Promise<ZmqEvents> {
    await using undo = new AsyncDisposableStack();
    const { net, clock, random } = options;
    const parts = { net, clock, random };
    const pub = undo.use(openPub(parts));
    const answer = (peer: RouterPeer, asked: readonly Uint8Array[]) => events.#answer(peer, asked);
    const router = undo.use(openRouter({ ...parts, highWaterMark: REPLAY_MARK, onMessage: answer }));
    const events: ZmqEvents = new ZmqEvents(undo.move(), pub, ports, options);
    try {
      await pub.bind(`tcp://*:${ports.events}`);
      if (ports.replay !== undefined) await router.bind(`tcp://*:${ports.replay}`);
    } catch (error) {
      await events[Symbol.asyncDispose]();
      throw error;
    }
    return events;
  }

  /** Where the worker hears of the events: at the same sockets as everybody else. */
  get source(): KvEventSource {
    const { events, replay } = this.#ports;
    return {
      kind: "zmq",
      dpRank: this.#options.dpRank,
      endpoint: `tcp://127.0.0.1:${events}`,
      ...(replay === undefined ? {} : { replayEndpoint: `tcp://127.0.0.1:${replay}` }),
    };
  }

  /** Publishes a batch; items are only read during the call. */
  publishBatch(items: readonly KvItem[]): void {
    const payload = encodeVllmBatch(items, this.#wallTime(), this.#options);
    if (payload === null) return;
    const sequence = this.#sequence++;
    if (this.#ports.replay !== undefined) this.#keep(sequence, payload);
    this.#pub.publish([NOTHING, sequenceBytes(sequence), payload]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#undo.disposeAsync();
  }

  #keep(sequence: bigint, payload: Uint8Array): void {
    this.#kept.push({ sequence, payload: payload.slice() });
    this.#keptBytes += payload.length;
    let surplus = 0;
    while (this.#kept.length - surplus > KEPT_BATCHES || this.#keptBytes > KEPT_BYTES) {
      this.#keptBytes -= this.#kept[surplus++]!.payload.length;
    }
    this.#kept.splice(0, surplus);
  }

  /** Sends what is kept from a number on. A peer that does not read gets no end, and asks again. */
  #answer(peer: RouterPeer, [, from]: readonly Uint8Array[]): void {
    if (from?.length !== END.length) return;
    const first = new DataView(from.buffer, from.byteOffset).getBigUint64(0);
    for (const { sequence, payload } of this.#kept) {
      if (sequence >= first && !peer.send([NOTHING, NOTHING, sequenceBytes(sequence), payload])) return;
    }
    peer.send([NOTHING, NOTHING, END, NOTHING]);
  }
}

function sequenceBytes(sequence: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, sequence);
  return bytes;
}
