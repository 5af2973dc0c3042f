/**
 * Which pod, and which container of it, this worker is.
 *
 * @module
 */
import type { Log } from "../observe/log.ts";
import type { Files } from "../platform/platform.ts";
import { invalidArgument } from "../protocol/error.ts";
import { encodeText } from "../protocol/payload.ts";
import { sipHash13 } from "../protocol/siphash.ts";

/** What has a resource of its own: a pod, or each container of one. @env DYN_KUBE_DISCOVERY_MODE */
export type KubernetesMode = "pod" | "container";

/** A worker's place in a cluster. */
export interface KubernetesPod {
  /** Name of the pod. @env POD_NAME */
  readonly name: string;
  /** Its uid. @env POD_UID */
  readonly uid: string;
  /** The namespace of the cluster it is in. @env POD_NAMESPACE @default `default` */
  readonly namespace: string;
  /** What has a resource of its own. */
  readonly mode: KubernetesMode;
  /** Name of this worker's resource. */
  readonly resource: string;
}

/** Where a volume of the downward API puts the same values; what is there goes before the environment. */
const POD_INFO = "/etc/podinfo";
/** A container of this name shares its pod's resource. */
const MAIN_CONTAINER = "main";
const INSTANCE_ID_MASK = 0x1f_ffff_ffff_ffffn;

/**
 * Reads it from `/etc/podinfo` and the environment.
 *
 * @throws {DynamoError} `InvalidArgument` if the pod, its uid or, by container, the container has no name.
 * @source dynamo-runtime 1.6.1, `discovery/kube/utils.rs`, `PodInfo::from_env`
 */
export async function readPod(
  env: Readonly<Record<string, string | undefined>>,
  files: Pick<Files, "read">,
  log: Log,
): Promise<KubernetesPod> {
  const read = async (variable: string): Promise<string> => {
    const file = await files.read(`${POD_INFO}/${variable.toLowerCase()}`).catch(() => new Uint8Array());
    return new TextDecoder().decode(file).trim() || (env[variable] ?? "");
  };
  const required = async (variable: string, field: string): Promise<string> => {
    const value = await read(variable);
    if (value !== "") return value;
    throw invalidArgument(
      `kubernetes discovery needs ${variable}: set it from the field ${field} of the pod, or mount it as ` +
        `${POD_INFO}/${variable.toLowerCase()}`,
    );
  };
  const mode = readMode(env);
  const name = await required("POD_NAME", "metadata.name");
  const uid = await required("POD_UID", "metadata.uid");
  let namespace = await read("POD_NAMESPACE");
  if (namespace === "") {
    namespace = "default";
    log.warn("POD_NAMESPACE is not set, the namespace is taken to be default");
  }
  const container = env.CONTAINER_NAME ?? "";
  if (mode === "container" && container === "") {
    throw invalidArgument("DYN_KUBE_DISCOVERY_MODE=container needs CONTAINER_NAME, the container's name in its pod");
  }
  return { name, uid, namespace, mode, resource: mode === "pod" ? name : resourceOf(name, container) };
}

function readMode(env: Readonly<Record<string, string | undefined>>): KubernetesMode {
  const mode = env.DYN_KUBE_DISCOVERY_MODE ?? "pod";
  if (mode === "pod" || mode === "container") return mode;
  throw invalidArgument(`DYN_KUBE_DISCOVERY_MODE is pod or container, not ${JSON.stringify(mode)}`);
}

/** Name of the resource of a container. */
export function resourceOf(pod: string, container: string): string {
  return container === MAIN_CONTAINER ? pod : `${pod}-${container}`;
}

/**
 * The instance id that all parties work out from the name of a resource: 53 bits.
 *
 * @source dynamo-runtime 1.6.1, `discovery/kube/utils.rs`, `KubeDiscoveryTarget::instance_id`
 */
export function instanceIdOf(resource: string): bigint {
  // Rust ends a hashed string with this byte, so that two of them in a row have one reading only.
  return sipHash13(new Uint8Array([...encodeText(resource), 0xff])) & INSTANCE_ID_MASK;
}
