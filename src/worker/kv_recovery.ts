/**
 * The endpoint that routers ask for the KV events they missed.
 *
 * @module
 */
import type { LocalIndexer } from "../kv/local_indexer.ts";
import type { Log } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import { Admission } from "../pipeline/admission.ts";
import { EncodedItem, type Item } from "../pipeline/encode.ts";
import { createEngineClock } from "../pipeline/engine_clock.ts";
import type { ItemStream } from "../pipeline/generate.ts";
import { createAccept } from "../pipeline/handle.ts";
import { PrologueHold } from "../pipeline/prologue_hold.ts";
import type { Clock } from "../platform/platform.ts";
import { DynamoError } from "../protocol/error.ts";
import { encodeRecoveryReply, readRecoveryQuery, recoveryEndpointName } from "../protocol/kv_recovery.ts";
import {
  encodeInstance,
  type EndpointName,
  instanceKey,
  type InstanceRecord,
  type PayloadCodec,
} from "../protocol/record.ts";
import type { Planes } from "./backends.ts";

/** What a recovery endpoint works with. */
export interface RecoveryParts {
  /** The ways in and out. */
  readonly planes: Planes;
  /** Metrics of the worker. */
  readonly metrics: Metrics;
  /** Time. */
  readonly clock: Clock;
  /** Log. */
  readonly log: Log;
  /** The serving endpoint, whose component it is part of. */
  readonly name: EndpointName;
  /** What routers should encode questions with. */
  readonly codec: PayloadCodec;
  /** Kind of device. */
  readonly deviceType: "cpu" | "cuda";
}

/** A recovery endpoint that answers. Disposing it takes its record back and refuses questions. */
export interface RecoveryEndpoint extends AsyncDisposable {
  /** How routers reach it. */
  readonly instance: InstanceRecord;
}

/** Questions answered at once, and those that may wait: routers ask at their start and after a gap only. */
const PLACES = 16;
const QUEUE = 64;

/** Serves the events of one publisher. @source dynamo-llm 1.6.1, KV worker query: one endpoint for each publisher */
export async function serveRecovery(
  parts: RecoveryParts,
  indexer: LocalIndexer,
  publisherId: bigint,
): Promise<RecoveryEndpoint> {
  const { planes: { discovery, requests, responses }, metrics, clock, log, codec, deviceType } = parts;
  const name = { ...parts.name, endpoint: recoveryEndpointName(publisherId) };
  const admission = new Admission(PLACES, QUEUE);
  const accept = createAccept({
    admission,
    responses,
    run: (body) => oneItem(() => answer(indexer, body, log)),
    abort: () => {},
    hold: new PrologueHold(clock),
    clock,
    engineClock: createEngineClock(clock),
    engineLog: log,
    workerMetrics: metrics,
    metrics: metrics.endpoint(name),
    log,
    deadlineMs: 0,
  });
  const endpoint = await requests.serve(name, discovery.instanceId, accept);
  const instance: InstanceRecord = {
    ...name,
    instance_id: discovery.instanceId,
    transport: endpoint.transport,
    device_type: deviceType,
    request_plane_codec: codec,
  };
  const key = instanceKey(name, discovery.instanceId);
  try {
    await discovery.put(key, encodeInstance(instance));
  } catch (error) {
    await endpoint[Symbol.asyncDispose]();
    throw error;
  }
  return {
    instance,
    async [Symbol.asyncDispose]() {
      await discovery.delete(key);
      admission.close();
      await endpoint[Symbol.asyncDispose]();
      await admission.idle();
    },
  };
}

function answer(indexer: LocalIndexer, body: () => unknown, log: Log): Item {
  try {
    const query = readRecoveryQuery(body());
    const reply = indexer.answer(query);
    log.info("A router recovers KV events", { start: query.start_event_id, reply: Object.keys(reply)[0] });
    return new EncodedItem((codec) => encodeRecoveryReply(reply, codec));
  } catch (error) {
    if (!(error instanceof SyntaxError)) return DynamoError.from(error);
    return new EncodedItem((codec) => encodeRecoveryReply({ Error: error.message }, codec));
  }
}

/** A stream of the one item that `make` makes when it is asked for. */
function oneItem(make: () => Item): ItemStream {
  let isOver = false;
  return {
    next() {
      const item = isOver ? null : make();
      isOver = true;
      return Promise.resolve(item);
    },
    close() {
      isOver = true;
      return Promise.resolve();
    },
  };
}
