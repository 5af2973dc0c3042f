/**
 * Events through ZeroMQ brokers: every publisher connects to all of them, and so does every subscriber.
 *
 * @module
 */
import { DynamoError } from "../protocol/error.ts";
import { eventSubject, publisherId } from "../protocol/event.ts";
import { openPub, parseEndpoint } from "../zmtp/mod.ts";
import type { EventPlane } from "./event_plane.ts";
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
  try {
    if (text.split(",").length !== 2 || xsub.length === 0 || xpub.length === 0) {
      throw new SyntaxError("it has to be xsub=tcp://host:port,xpub=tcp://host:port");
    }
    for (const url of [...xsub, ...xpub]) parseEndpoint(url);
  } catch (cause) {
    throw new DynamoError("InvalidArgument", `${option}: ${text}: ${(cause as Error).message}`, { cause });
  }
  return { xsub, xpub };
}

/** Opens the plane: one socket for all publishers of the worker. Nobody has to answer yet. */
export function openZmqBroker(world: ZmqWorld, broker: ZmqBroker): EventPlane {
  const pub = openPub(world);
  for (const endpoint of broker.xsub) pub.connect(endpoint);
  return {
    name: "zmq",
    batchesSequences: true,
    publisher: (scope, topic) =>
      Promise.resolve(
        new ZmqPublisher({
          ...{ world, scope, topic, pub, subject: eventSubject(scope, topic) },
          id: publisherId(world.random.u64()),
          transport: null,
          readFrom: broker.xpub,
          close: () => Promise.resolve(),
        }),
      ),
    [Symbol.asyncDispose]: () => pub[Symbol.asyncDispose](),
  };
}
