/**
 * The implementations of every seam, by the name that selects them. Nothing else lists them.
 *
 * @module
 */
import type { Discovery } from "../discovery/discovery.ts";
import { openEtcdDiscovery } from "../discovery/etcd.ts";
import { readEtcdServers } from "../discovery/etcd_servers.ts";
import { FILE_TTL_MS, openFileDiscovery } from "../discovery/file.ts";
import { openKubernetesDiscovery } from "../discovery/kubernetes.ts";
import { MemStore, openMemDiscovery } from "../discovery/mem.ts";
import type { EventPlane } from "../event_plane/event_plane.ts";
import { openNats } from "../event_plane/nats.ts";
import { openZmqBroker, parseBroker, type ZmqBroker } from "../event_plane/zmq_broker.ts";
import { findBroker } from "../event_plane/zmq_broker_lookup.ts";
import { openZmqDirect } from "../event_plane/zmq_direct.ts";
import { type NatsLink, openNatsLink } from "../nats/link.ts";
import { readNatsServers } from "../nats/servers.ts";
import { type Log, targetLog } from "../observe/log.ts";
import type { Platform } from "../platform/platform.ts";
import type { DynamoError } from "../protocol/error.ts";
import { resolveAdvertisedHost, resolveListenHost } from "../protocol/address.ts";
import { openNatsRequestPlane } from "../request_plane/nats.ts";
import type { RequestPlane } from "../request_plane/request_plane.ts";
import { openTcpRequestPlane } from "../request_plane/tcp.ts";
import type { ResponsePlane } from "../response_plane/response_plane.ts";
import { openTcpResponsePlane } from "../response_plane/tcp.ts";
import type { ResolvedWorkerOptions } from "./options.ts";

export type { MemStore } from "../discovery/mem.ts";

/** What implementations are made of. */
export interface BackendParts {
  /** The world. */
  readonly platform: Platform;
  /** Settings. */
  readonly options: ResolvedWorkerOptions;
  /** Log. */
  readonly log: Log;
  /** Store of the `mem` backend, shared by all parties of a process. */
  readonly memStore: MemStore;
  /** Ends what takes its time to open. */
  readonly stop?: AbortSignal;
  /** Called when the worker's place in discovery is lost for good. */
  readonly lost?: (error: DynamoError) => void;
  /** Nothing will be put into discovery. @default false */
  readonly isReader?: boolean;
  /** Whether they are for the first worker of the process, which does what one has to do for all. @default true */
  readonly isFirst?: boolean;
}

/** What planes are made of. */
interface PlaneParts extends BackendParts {
  /** The connection that they share, opened when the first asks for it. */
  readonly nats: () => Promise<NatsLink>;
}

/** Folder of the file backend when none is named. @source dynamo-runtime 1.6.1, `DYN_FILE_KV` */
const FILE_STORE_NAME = "dynamo_store_kv";

/** Implementations by seam and name. */
export const BACKENDS = {
  discovery: {
    mem: ({ memStore, platform }: BackendParts): Promise<Discovery> => openMemDiscovery(memStore, platform),
    file: ({ platform, options, log, isFirst = true }: BackendParts): Promise<Discovery> =>
      openFileDiscovery({
        root: options.fileKv ?? `${platform.files.temporaryDirectory}/${FILE_STORE_NAME}`,
        platform,
        log: targetLog(log, "stator::discovery"),
        // Every look at a store costs as much as it has files, and each worker brings some.
        sweeps: isFirst,
      }),
    etcd: async ({ platform, options, log: root, stop, lost, isReader = false }: BackendParts): Promise<Discovery> => {
      const log = targetLog(root, "stator::discovery");
      return await openEtcdDiscovery({
        servers: await readEtcdServers(options, { files: platform.files, log }),
        platform,
        log,
        ttlSeconds: options.etcdLeaseTtlSeconds,
        patienceMs: 1000 * options.etcdConnectTimeoutSeconds,
        probe: {
          intervalMs: 1000 * options.etcdKeepAliveIntervalSeconds,
          timeoutMs: 1000 * options.etcdKeepAliveTimeoutSeconds,
        },
        isReader,
        ...(stop === undefined ? {} : { signal: stop }),
        ...(lost === undefined ? {} : { lost }),
      });
    },
    kubernetes: ({ platform: { process, files, httpClients, clock }, log }: BackendParts): Promise<Discovery> =>
      openKubernetesDiscovery({
        ...{ env: process.env, files, httpClients, clock },
        log: targetLog(log, "stator::discovery"),
      }),
  },
  requestPlane: {
    tcp: ({ platform, options, log }: BackendParts): Promise<RequestPlane> => {
      // Nobody outside this process can find a worker on mem discovery, so nobody outside needs to reach it.
      const host = options.tcpRpcHost ?? (options.discoveryBackend === "mem" ? "127.0.0.1" : undefined);
      return openTcpRequestPlane({
        net: platform.net,
        clock: platform.clock,
        log: targetLog(log, "stator::request_plane"),
        host: resolveListenHost(host, "DYN_TCP_RPC_HOST", platform.net.interfaces()),
        port: options.tcpRpcPort,
        maxMessageBytes: options.maxMessageBytes,
      });
    },
    nats: async ({ platform: { clock }, log, nats }: PlaneParts): Promise<RequestPlane> =>
      openNatsRequestPlane({ link: await nats(), clock, log: targetLog(log, "stator::request_plane") }),
  },
  eventPlane: {
    zmq: async (parts: BackendParts): Promise<EventPlane> => {
      const { platform: { net, clock, random }, options } = parts;
      const world = { net, clock, random };
      const broker = await pickBroker(parts);
      if (broker !== null) return openZmqBroker(world, broker);
      const host = options.eventPlaneHost ?? (options.discoveryBackend === "mem" ? "127.0.0.1" : undefined);
      const advertise = resolveAdvertisedHost(host, "DYN_EVENT_PLANE_HOST", net.interfaces());
      const bind = options.discoveryBackend === "mem" ? advertise : advertise.includes(":") ? "::" : "0.0.0.0";
      return openZmqDirect({ ...world, bind, advertise });
    },
    nats: async ({ platform: { clock, random }, log, nats }: PlaneParts): Promise<EventPlane> =>
      openNats({ link: await nats(), clock, random, log: targetLog(log, "stator::event_plane") }),
  },
  responsePlane: {
    tcp: ({ platform, options }: BackendParts): ResponsePlane =>
      openTcpResponsePlane({
        net: platform.net,
        clock: platform.clock,
        connectTimeoutMs: 1000 * options.connectTimeoutSeconds,
        coalesceMs: options.coalesceMs,
      }),
  },
} as const;

/** The brokers to publish through; `null` if publishers have sockets of their own. */
async function pickBroker(parts: BackendParts): Promise<ZmqBroker | null> {
  const { zmqBrokerUrl = "", zmqBrokerEnabled, namespace } = parts.options;
  if (zmqBrokerUrl !== "") return parseBroker(zmqBrokerUrl, "DYN_ZMQ_BROKER_URL");
  if (!zmqBrokerEnabled) return null;
  await using discovery = await openDiscovery(parts);
  return await findBroker(discovery, namespace);
}

/** How long records of a worker that no longer renews them are there. @unit seconds */
export function leaseSeconds(
  { discoveryBackend, etcdLeaseTtlSeconds }: Readonly<Record<string, unknown>>,
): number {
  const lives: Readonly<Record<keyof typeof BACKENDS.discovery, number>> = {
    mem: 0,
    file: FILE_TTL_MS / 1000,
    etcd: Number(etcdLeaseTtlSeconds),
    // Nothing is renewed there: a process that ends is a container that is not ready.
    kubernetes: 0,
  };
  return lives[discoveryBackend as keyof typeof BACKENDS.discovery] ?? 0;
}

/** The planes of a worker. Disposing them deletes the records that are left, then closes sockets. */
export interface Planes extends AsyncDisposable {
  /** Records. */
  readonly discovery: Discovery;
  /** Requests. */
  readonly requests: RequestPlane;
  /** Answers. */
  readonly responses: ResponsePlane;
  /** Events; `null` if nobody could hear of them. */
  readonly events: EventPlane | null;
}

/** Opens the planes that the options name. */
export async function openPlanes(backendParts: BackendParts): Promise<Planes> {
  await using undo = new AsyncDisposableStack();
  const { options } = backendParts;
  let link: NatsLink | null = null;
  const parts = { ...backendParts, nats: async () => link ??= undo.use(await connectNats(backendParts)) };
  const responses = undo.use(pick(BACKENDS.responsePlane, options.responsePlane)(parts));
  const requests = undo.use(await pick(BACKENDS.requestPlane, options.requestPlane)(parts));
  // Nobody outside this process can find a publisher on mem discovery.
  const eventPlane = options.eventPlane ?? (options.discoveryBackend === "mem" ? null : "zmq");
  const events = eventPlane === null ? null : undo.use(await pick(BACKENDS.eventPlane, eventPlane)(parts));
  const discovery = undo.use(await pick(BACKENDS.discovery, options.discoveryBackend)(parts));
  const opened = undo.move();
  return { discovery, requests, responses, events, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

/** Makes the store that the parties of one process share when discovery is `mem`. */
export function createMemStore(): MemStore {
  return new MemStore();
}

/** Opens the discovery that the options name, for a party that is no worker. */
export function openDiscovery(parts: BackendParts): Promise<Discovery> {
  return pick(BACKENDS.discovery, parts.options.discoveryBackend)({ ...parts, isReader: true });
}

/**
 * Connects to the NATS that the options name.
 *
 * @throws {DynamoError} `CannotConnect` if no server is there in time or none lets us in.
 */
export function connectNats({ platform: { clock, files }, options, log, stop }: BackendParts): Promise<NatsLink> {
  return openNatsLink({
    servers: readNatsServers(options),
    patienceMs: 1000 * options.natsConnectTimeoutSeconds,
    log: targetLog(log, "stator::nats"),
    ...{ clock, files },
    ...(stop === undefined ? {} : { signal: stop }),
  });
}

function pick<T>(rows: Readonly<Record<string, T>>, name: string): T {
  const row = rows[name];
  if (row === undefined) throw new TypeError(`unknown backend ${name}; known: ${Object.keys(rows).join(", ")}`);
  return row;
}
