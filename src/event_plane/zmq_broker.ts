/**
 * Events through ZeroMQ brokers: every publisher connects to all of them, and so does every subscriber.
 *
 * @module
 */
import { invalidArgument } from "../protocol/error.ts";
import { type EventScope, eventSubject, publisherId } from "../protocol/event.ts";
import { dialAddress, openPub } from "../zmtp/mod.ts";
import type { EventPlane, EventPublisher } from "./event_plane.ts";
import { ZmqPublisher, type ZmqWorld } from "./zmq_publisher.ts";

/** Addresses of brokers. */
export interface ZmqBroker {
  /** Where publishers connect. */
  readonly xsub: readonly string[];
  /** Where subscribers connect. */
  readonly xpub: readonly string[];
}

/**
 * Reads `xsub=<url>[;<url>…],xpub=<url>[;<url>…]`, in either order.
 *
 * @throws {DynamoError} `InvalidArgument` if it is anything else.
 * @source dynamo-runtime 1.6.1, `DYN_ZMQ_BROKER_URL`
 */
export function parseBroker(text: string, option: string): ZmqBroker {
  const parts = new Map(
    text.split(",").map((part) => {
      const [name = "", urls = ""] = part.split("=", 2);
      return [name.trim(), urls.split(";").map((url) => url.trim()).filter((url) => url !== "")];
    }),
  );
  const [xsub, xpub] = [parts.get("xsub") ?? [], parts.get("xpub") ?? []];
  const broker = { xsub, xpub };
  if (text.split(",").length !== 2 || xsub.length === 0 || xpub.length === 0) {
    throw invalidArgument(`${option}: ${text}: it has to be xsub=tcp://host:port,xpub=tcp://host:port`);
  }
  checkBroker(broker, option);
  return broker;
}

/** Holds a broker's addresses to what can be dialled. @throws {DynamoError} `InvalidArgument`, saying where they are from. */
export function checkBroker({ xsub, xpub }: ZmqBroker, origin: string): void {
  for (const url of [...xsub, ...xpub]) {
    try {
      dialAddress(url);
    } catch (error) {
      throw invalidArgument(`${origin}: ${(error as Error).message}`);
    }
  }
}

/** Opens the plane: each publisher has a socket of its own, as over the direct plane. Nobody has to answer yet. */
export function openZmqBroker(world: ZmqWorld, broker: ZmqBroker): EventPlane {
  const undo = new AsyncDisposableStack();
  return {
    name: "zmq",
    batchesSequences: true,
    publisher: (scope, topic) => Promise.resolve(undo.use(openPublisher(world, broker, scope, topic))),
    [Symbol.asyncDispose]: () => undo.disposeAsync(),
  };
}

function openPublisher(world: ZmqWorld, { xsub, xpub }: ZmqBroker, scope: EventScope, topic: string): EventPublisher {
  const pub = openPub(world);
  for (const endpoint of xsub) pub.connect(endpoint);
  return new ZmqPublisher({
    ...{ world, scope, topic, pub, subject: eventSubject(scope, topic) },
    id: publisherId(world.random.u64()),
    transport: null,
    readFrom: xpub,
  });
}
