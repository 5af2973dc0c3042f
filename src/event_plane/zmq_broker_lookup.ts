/**
 * Brokers that say in discovery where they are.
 *
 * @module
 */
import type { Discovery } from "../discovery/discovery.ts";
import { DynamoError } from "../protocol/error.ts";
import { decodeEventChannel, type EventChannelRecord } from "../protocol/event_record.ts";
import { checkBroker, type ZmqBroker } from "./zmq_broker.ts";

/** Component that brokers have their records under. @source dynamo-runtime 1.6.1, ZMQ broker discovery */
const BROKER_COMPONENT = "zmq_broker";

/**
 * Finds the brokers of a namespace; the endpoints of several come together.
 *
 * @throws {DynamoError} `CannotConnect` if there is none, `InvalidArgument` if one has an address that cannot be used.
 */
export async function findBroker(discovery: Discovery, namespace: string): Promise<ZmqBroker> {
  const xsub = new Set<string>();
  const xpub = new Set<string>();
  for (const { value } of await discovery.list("v1/event_channels")) {
    const found = readBroker(value, namespace);
    for (const endpoint of found?.xsub ?? []) xsub.add(endpoint);
    for (const endpoint of found?.xpub ?? []) xpub.add(endpoint);
  }
  if (xsub.size > 0 && xpub.size > 0) {
    const broker = { xsub: [...xsub], xpub: [...xpub] };
    checkBroker(broker, `${namespace}/${BROKER_COMPONENT} in discovery`);
    return broker;
  }
  throw new DynamoError(
    "CannotConnect",
    `DYN_ZMQ_BROKER_ENABLED: there is no broker ${namespace}/${BROKER_COMPONENT} in ${discovery.name} discovery; ` +
      "start one, name it with DYN_ZMQ_BROKER_URL, or unset the variable",
  );
}

function readBroker(value: string, namespace: string): ZmqBroker | null {
  let record: EventChannelRecord;
  try {
    record = decodeEventChannel(value);
  } catch {
    return null; // not for us to complain about
  }
  const { scope, transport } = record;
  if (transport.kind !== "ZmqBroker" || scope.kind !== "component") return null;
  if (scope.namespace !== namespace || scope.component !== BROKER_COMPONENT) return null;
  return { xsub: transport.config.xsub_endpoints, xpub: transport.config.xpub_endpoints };
}
