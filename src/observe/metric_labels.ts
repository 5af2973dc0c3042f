/**
 * The labels that Dynamo's workers put on what they expose, in the order in which they are written.
 *
 * @module
 */
import { type EndpointName, hexId } from "../protocol/record.ts";

/** Labels of an endpoint's metrics. */
export interface EndpointLabels {
  /** Component. */
  readonly dynamo_component: string;
  /** Endpoint. */
  readonly dynamo_endpoint: string;
  /** Namespace. */
  readonly dynamo_namespace: string;
  /** Identity in discovery. Hexadecimal, without padding. */
  readonly worker_id: string;
}

/** What a worker serves, as labels have it. */
export interface ModelName {
  /** What the engine calls its model. */
  readonly model: string;
  /** Name clients use. */
  readonly modelName: string;
}

/** Labels of metrics about the model that is served. */
export interface ModelLabels extends EndpointLabels {
  /** What the engine calls its model. */
  readonly model: string;
  /** Name clients use. */
  readonly model_name: string;
}

/** Makes the labels of an endpoint. */
export function endpointLabels(instanceId: bigint, name: EndpointName): EndpointLabels {
  return {
    dynamo_component: name.component,
    dynamo_endpoint: name.endpoint,
    dynamo_namespace: name.namespace,
    worker_id: hexId(instanceId),
  };
}

/**
 * Makes the labels of a served model.
 *
 * @source dynamo-backend-common 1.6.1, `metrics.rs`: `model` is the engine's, `model_name` the served name
 */
export function modelLabels(instanceId: bigint, name: EndpointName, { model, modelName }: ModelName): ModelLabels {
  const { worker_id, ...endpoint } = endpointLabels(instanceId, name);
  return { ...endpoint, model, model_name: modelName, worker_id };
}
