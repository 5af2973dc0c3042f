/**
 * Discovery on an etcd in memory, over virtual time.
 *
 * @module
 */
import type { Discovery, DiscoveryEvent } from "../../src/discovery/discovery.ts";
import { type EtcdDiscoveryOptions, openEtcdDiscovery } from "../../src/discovery/etcd.ts";
import { createLog } from "../../src/observe/log.ts";
import type { DynamoError } from "../../src/protocol/error.ts";
import type { DiscoveryKey } from "../../src/protocol/record.ts";
import { FakeClock } from "./fake_clock.ts";
import { type EtcdReceived, FakeEtcd } from "./fake_etcd.ts";

/** An endpoint record's key. */
export const ENDPOINT: DiscoveryKey = { bucket: "v1/instances", path: "ns/c/e/1f" };
/** A card's key. */
export const CARD: DiscoveryKey = { bucket: "v1/mdc", path: "ns/c/e/1f" };

/** An etcd, and what its clients are told. */
export interface EtcdRig {
  readonly clock: FakeClock;
  readonly etcd: FakeEtcd;
  readonly lines: string[];
  /** Why leases were lost. */
  readonly losses: DynamoError[];
  /** Opens discovery; virtual time has to pass for it to retry. */
  open(options?: Partial<EtcdDiscoveryOptions>): Promise<Discovery>;
  /** Calls of a path, such as `lease/keepalive`. */
  calls(path: string): EtcdReceived[];
}

/** Sets one up. */
export function makeEtcdRig(members: readonly string[] = ["http://a:2379"]): EtcdRig {
  const clock = new FakeClock(0);
  const etcd = new FakeEtcd(clock);
  const lines: string[] = [];
  const losses: DynamoError[] = [];
  const log = createLog({ level: "debug", wallTime: () => 0, write: (line) => void lines.push(line) });
  return {
    clock,
    etcd,
    lines,
    losses,
    open: (options = {}) =>
      openEtcdDiscovery({
        platform: { clock, httpClients: etcd },
        servers: { origins: members, user: null, tls: {} },
        probe: { intervalMs: 15_000, timeoutMs: 10_000 },
        ttlSeconds: 30,
        patienceMs: 120_000,
        log,
        lost: (error) => void losses.push(error),
        ...options,
      }),
    calls: (path) => etcd.received.filter((call) => call.path === `/v3/${path}`),
  };
}

/** What a watch has told, applied. */
export function makeView(): {
  readonly records: Map<string, string>;
  readonly report: (event: DiscoveryEvent) => void;
} {
  const records = new Map<string, string>();
  return {
    records,
    report: (event) =>
      event.kind === "put" ? void records.set(event.key.path, event.value) : void records.delete(event.key.path),
  };
}
