/**
 * What discovery is told, in which order, and taking it back.
 *
 * @module
 */
import type { Discovery } from "../discovery/discovery.ts";
import type { Log } from "../observe/log.ts";
import type { ModelCard } from "../protocol/model_card.ts";
import {
  encodeInstance,
  encodeModel,
  type EndpointName,
  endpointPath,
  hexId,
  instanceKey,
  type InstanceTransport,
  modelKey,
  type PayloadCodec,
} from "../protocol/record.ts";

/** What a worker publishes. */
export interface RegistrationInput {
  /** The serving endpoint. */
  readonly name: EndpointName;
  /** The card. */
  readonly card: ModelCard;
  /** Where requests go. */
  readonly transport: InstanceTransport;
  /** What frontends should encode requests with. */
  readonly codec: PayloadCodec;
  /** Kind of device. */
  readonly deviceType: "cpu" | "cuda";
}

/** A published worker. */
export interface Registration {
  /** Deletes the endpoint record, so that no new request is routed here; the card stays. */
  withdraw(): Promise<void>;
}

/**
 * Publishes the card, then the endpoint: from then on requests come.
 *
 * The card is left to the store's disposal, after everything that still serves.
 *
 * @source dynamo-llm 1.6.1: card before endpoint, endpoint deleted first
 */
export async function register(discovery: Discovery, input: RegistrationInput, log: Log): Promise<Registration> {
  const { name, card, transport, codec, deviceType } = input;
  const { instanceId } = discovery;
  const model = { ...name, instance_id: instanceId, card_json: card as unknown as Record<string, unknown> };
  await discovery.put(modelKey(name, instanceId), encodeModel(model));
  const record = { ...name, instance_id: instanceId, transport, device_type: deviceType, request_plane_codec: codec };
  await discovery.put(instanceKey(name, instanceId), encodeInstance(record));
  log.info("Registered", { endpoint: endpointPath(name), instance: hexId(instanceId), ...transport });
  return {
    async withdraw(): Promise<void> {
      await discovery.delete(instanceKey(name, instanceId));
      log.info("Endpoint record deleted", { endpoint: endpointPath(name), instance: hexId(instanceId) });
    },
  };
}

/**
 * The kind of device that a stock worker would name.
 *
 * @source dynamo-runtime 1.6.1: `cuda` unless the environment hides every GPU
 */
export function deviceType(env: Readonly<Record<string, string | undefined>>): "cpu" | "cuda" {
  const cuda = env.CUDA_VISIBLE_DEVICES?.trim().toLowerCase();
  const nvidia = env.NVIDIA_VISIBLE_DEVICES?.trim().toLowerCase();
  const isHidden = (cuda !== undefined && ["", "-1", "none", "void"].includes(cuda)) ||
    (nvidia !== undefined && ["none", "void"].includes(nvidia));
  return isHidden ? "cpu" : "cuda";
}
