/**
 * The custom resource `DynamoWorkerMetadata`: all records of one worker.
 *
 * @module
 */
import type { EventScope } from "../protocol/event.ts";
import { parseJson, stringifyJson } from "../protocol/payload.ts";
import type { DiscoveryBucket, DiscoveryKey } from "../protocol/record.ts";
import type { KubernetesPod } from "./kubernetes_pod.ts";

/** A record and where it stands. */
export interface KubernetesRecord {
  readonly key: DiscoveryKey;
  /** Compact JSON. */
  readonly value: string;
}

/** What a worker's resource says. */
export interface WorkerMetadata {
  /** Name of the resource. */
  readonly name: string;
  /** Uid of the pod that it belongs to; empty if it says none. */
  readonly podUid: string;
  /** Its records. */
  readonly records: readonly KubernetesRecord[];
}

/** The maps of `spec.data`, by bucket. */
const MAPS: Readonly<Record<DiscoveryBucket, string>> = {
  "v1/instances": "endpoints",
  "v1/mdc": "model_cards",
  "v1/event_channels": "event_channels",
  "v1/event_sources": "event_sources",
};

const API_VERSION = "nvidia.com/v1alpha1";
const KIND = "DynamoWorkerMetadata";

/** Path of a namespace's resources. */
export function resourcesPath(namespace: string): string {
  return `/apis/${API_VERSION}/namespaces/${encodeURIComponent(namespace)}/dynamoworkermetadatas`;
}

/**
 * The resource of a worker, as compact JSON.
 *
 * Records go in as they are written, so that no number in them is read and written again.
 *
 * @source dynamo-runtime 1.6.1, `discovery/kube/crd.rs`, `build_cr`
 */
export function encodeResource(pod: KubernetesPod, records: readonly KubernetesRecord[]): string {
  const { name, uid, resource } = pod;
  const owner = { apiVersion: "v1", blockOwnerDeletion: false, controller: resource === name, kind: "Pod", name, uid };
  const metadata = JSON.stringify({ name: resource, ownerReferences: [owner] });
  const data = encodeMaps(records, withNames);
  return `{"apiVersion":"${API_VERSION}","kind":"${KIND}","metadata":${metadata},"spec":{"data":${data}}}`;
}

/** The four maps of records that a resource and `GET /metadata` have, as compact JSON. */
export function encodeMaps(records: readonly KubernetesRecord[], channel = (value: string): string => value): string {
  const maps = Object.entries(MAPS).map(([bucket, map]) => {
    const entries = records.filter(({ key }) => key.bucket === bucket)
      .map(({ key, value }) => `${JSON.stringify(key.path)}:${map === "event_channels" ? channel(value) : value}`);
    return `"${map}":{${entries.join(",")}}`;
  });
  return `{${maps.join(",")}}`;
}

/**
 * An event channel with the two fields that readers before 1.5 look at.
 *
 * @source dynamo-runtime 1.6.1, `discovery/kube/crd.rs`, `add_legacy_event_channel_fields`
 */
function withNames(value: string): string {
  const { scope } = JSON.parse(value) as { readonly scope: EventScope };
  const { namespace, component } = namesOf(scope);
  return `${value.slice(0, -1)},"namespace":${JSON.stringify(namespace)},"component":${JSON.stringify(component)}}`;
}

function namesOf(scope: EventScope): { readonly namespace: string; readonly component: string } {
  if (scope.kind === "namespace") return { namespace: scope.name, component: "" };
  return scope.kind === "endpoint" ? scope.endpoint : scope;
}

/** Reads a resource; `null` if it is none. Maps that are absent or `null` are empty. */
export function decodeResource(text: string): WorkerMetadata | null {
  const { metadata, spec } = object(parseJson(text));
  const { name, ownerReferences } = object(metadata);
  if (typeof name !== "string") return null;
  const owners = Array.isArray(ownerReferences) ? ownerReferences.map(object) : [];
  const owner = owners.find(({ kind }) => kind === "Pod");
  const data = object(object(spec).data);
  const records = Object.entries(MAPS).flatMap(([bucket, map]) =>
    Object.entries(object(data[map])).map(([path, value]) => ({
      key: { bucket: bucket as DiscoveryBucket, path },
      value: stringifyJson(value),
    }))
  );
  return { name, podUid: typeof owner?.uid === "string" ? owner.uid : "", records };
}

/** The members of an object; none if it is no object. */
export function object(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}
