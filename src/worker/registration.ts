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
import { withTaints } from "./taints.ts";

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

/** A published worker. What it is asked is done one after the other. */
export interface Registration {
  /** Deletes the endpoint record, so that no new request is routed here; the card stays. */
  withdraw(): Promise<void>;
  /**
   * Puts the endpoint record back under the same instance id; one that is still there stays as it is.
   *
   * @throws {Error} If the store refuses it, or {@linkcode retire} was called.
   */
  publish(): Promise<void>;
  /**
   * Deletes the endpoint record for good: a {@linkcode publish} that is under way is undone, later ones are refused.
   */
  retire(): Promise<void>;
  /**
   * Rewrites the card with these taints, which routers take over without a new worker.
   *
   * @throws {Error} If the store refuses it.
   */
  setTaints(taints: readonly string[]): Promise<void>;
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
  const key = instanceKey(name, instanceId);
  const value = encodeInstance({
    ...name,
    instance_id: instanceId,
    transport,
    device_type: deviceType,
    request_plane_codec: codec,
  });
  const where = { endpoint: endpointPath(name), instance: hexId(instanceId) };
  const putCard = (value: ModelCard): Promise<void> => {
    const card_json = value as unknown as Record<string, unknown>;
    return discovery.put(modelKey(name, instanceId), encodeModel({ ...name, instance_id: instanceId, card_json }));
  };
  let isRetired = false;
  let tail: Promise<unknown> = Promise.resolve();
  // A deletion must not be overtaken by a publication that was asked for before it.
  const inTurn = (action: () => Promise<void>): Promise<void> => {
    const result = tail.then(action);
    tail = result.catch(() => {});
    return result;
  };
  const withdraw = async (): Promise<void> => {
    await discovery.delete(key);
    log.info("Endpoint record deleted", where);
  };

  await putCard(card);
  await discovery.put(key, value);
  log.info("Registered", { ...where, ...transport });
  return {
    withdraw: () => inTurn(withdraw),
    publish: () =>
      inTurn(async () => {
        if (isRetired) throw new Error("Cannot publish endpoint record: the worker is shutting down");
        await discovery.put(key, value);
        log.info("Registered again", where);
      }),
    retire(): Promise<void> {
      isRetired = true;
      return inTurn(withdraw);
    },
    setTaints: (taints) =>
      inTurn(async () => {
        await putCard(withTaints(card, taints));
        log.info("Model taints updated", { ...where, taints });
      }),
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
