/**
 * An event plane that keeps what is published.
 *
 * @module
 */
import { bytesOf, type EventPlane, type EventPublisher } from "../../src/event_plane/event_plane.ts";

/** A publisher, and what became of it. */
export interface FakePublisher extends EventPublisher {
  readonly payloads: Uint8Array[];
  isClosed: boolean;
}

/** The plane. */
export interface FakeEvents extends EventPlane {
  readonly publishers: FakePublisher[];
}

/** Makes one. @param batchesSequences Whether it is one like ZMQ, or one like NATS. */
export function makeFakeEvents(batchesSequences = true): FakeEvents {
  const publishers: FakePublisher[] = [];
  return {
    name: "fake",
    batchesSequences,
    publishers,
    publisher(scope, topic) {
      const payloads: Uint8Array[] = [];
      const publisher: FakePublisher = {
        id: BigInt(publishers.length + 1),
        ...{ scope, topic, payloads, isClosed: false },
        transport: { kind: "Zmq", config: { endpoint: `tcp://10.0.0.1:${publishers.length + 1}` } },
        publish: (payload) => void payloads.push(bytesOf(payload).slice()),
        readBack: () => {
          throw new Error("not here");
        },
        get stats() {
          return { published: payloads.length, dropped: 0, cut: 0, waitingBytes: 0 };
        },
        [Symbol.asyncDispose]() {
          publisher.isClosed = true;
          return Promise.resolve();
        },
      };
      publishers.push(publisher);
      return Promise.resolve(publisher);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
