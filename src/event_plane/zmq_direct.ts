/**
 * Events over ZeroMQ sockets of the publishers' own, which subscribers find in discovery and dial.
 *
 * @module
 */
import { type EventScope, publisherId } from "../protocol/event.ts";
import { formatEndpoint, openPub, parseEndpoint } from "../zmtp/mod.ts";
import type { EventPlane, EventPublisher } from "./event_plane.ts";
import { ZmqPublisher, type ZmqWorld } from "./zmq_publisher.ts";

/** Settings of {@linkcode openZmqDirect}. */
export interface ZmqDirectOptions extends ZmqWorld {
  /** Address to listen on. */
  readonly bind: string;
  /** Address that subscribers are told. */
  readonly advertise: string;
}

/** Opens the plane. @source dynamo-runtime 1.6.1, `zmq_transport.rs`: one PUB socket for each publisher */
export function openZmqDirect(options: ZmqDirectOptions): EventPlane {
  const undo = new AsyncDisposableStack();
  return {
    name: "zmq",
    batchesSequences: true,
    publisher: async (scope, topic) => undo.use(await openPublisher(options, scope, topic)),
    [Symbol.asyncDispose]: () => undo.disposeAsync(),
  };
}

async function openPublisher(options: ZmqDirectOptions, scope: EventScope, topic: string): Promise<EventPublisher> {
  const { bind, advertise, ...world } = options;
  const pub = openPub(world);
  try {
    const { port } = parseEndpoint(await pub.bind(formatEndpoint({ host: bind, port: 0 })));
    const endpoint = formatEndpoint({ host: advertise, port });
    return new ZmqPublisher({
      ...{ world, scope, topic, pub, subject: topic },
      id: publisherId(world.random.u64()),
      transport: { kind: "Zmq", config: { endpoint } },
      readFrom: [endpoint],
    });
  } catch (error) {
    await pub[Symbol.asyncDispose]();
    throw error;
  }
}
