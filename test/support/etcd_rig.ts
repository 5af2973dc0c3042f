/**
 * Discovery on an etcd in memory, over virtual time.
 *
 * @module
 */
import type { Discovery, DiscoveryEvent } from "../../src/discovery/discovery.ts";
import { type EtcdDiscoveryOptions, openEtcdDiscovery } from "../../src/discovery/etcd.ts";
import { createLog, SILENT } from "../../src/observe/log.ts";
import type { HttpServer } from "../../src/platform/platform.ts";
import { realPlatform } from "../../src/platform/real.ts";
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
        platform: { clock, httpClients: etcd, random: { number: () => 0.5 } },
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

/** Puts an etcd in memory behind a real HTTP server of this machine. */
export async function serveEtcd(etcd: FakeEtcd): Promise<HttpServer & { readonly origin: string }> {
  const client = etcd.open();
  const server = await realPlatform.http.serve({ host: "127.0.0.1", port: 0 }, async (request) => {
    const over = new AbortController();
    request.signal.addEventListener("abort", () => over.abort(new Error("the client left")));
    const body = await request.text();
    const answer = await client.send({ method: "POST", url: request.url, headers: {}, body, signal: over.signal });
    const { status, contentType } = answer;
    return new Response(streamOf(answer.body), { status, headers: { "content-type": contentType } });
  });
  return {
    ...server,
    origin: `http://127.0.0.1:${server.address.port}`,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Opens discovery on such a server, or on none. */
export function openOverHttp(origin: string): Promise<Discovery> {
  const servers = { origins: [origin], user: null, tls: {} };
  const probe = { intervalMs: 15_000, timeoutMs: 10_000 };
  return openEtcdDiscovery({ platform: realPlatform, servers, probe, ttlSeconds: 30, patienceMs: 0, log: SILENT });
}

function streamOf(body: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const parts = body[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await parts.next().catch(() => ({ done: true, value: undefined }));
      done ? controller.close() : controller.enqueue(value!);
    },
  });
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
