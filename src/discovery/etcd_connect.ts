/**
 * The first call to etcd, which may have to wait for etcd to start.
 *
 * @module
 */
import type { Log } from "../observe/log.ts";
import { type Clock, delay, type Random } from "../platform/platform.ts";
import { DynamoError } from "../protocol/error.ts";
import { type EtcdClient, isPassing } from "./etcd_client.ts";
import { Pauses } from "./etcd_pauses.ts";
import type { EtcdServers } from "./etcd_servers.ts";

/** Settings of {@linkcode connectEtcd}. */
export interface EtcdConnectOptions {
  /** Where etcd is. */
  readonly servers: EtcdServers;
  /** Time, and what keeps the workers of a fleet apart. */
  readonly platform: { readonly clock: Clock; readonly random: Pick<Random, "number"> };
  /** Log. */
  readonly log: Log;
  /** How long all attempts together may take; the first is made in any case. @unit milliseconds */
  readonly patienceMs: number;
  /** Ends the attempts at once. */
  readonly signal?: AbortSignal;
}

/** Pauses between attempts. @unit milliseconds @source dynamo-runtime 1.6.1, `transports/etcd.rs` */
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Repeats the first call until it succeeds; what etcd refuses is not repeated.
 *
 * @throws {DynamoError} `CannotConnect` if it did not succeed in time, was refused, or `signal` aborted.
 */
export async function connectEtcd<T>(
  client: EtcdClient,
  first: () => Promise<T>,
  { servers, platform: { clock, random }, log, patienceMs, signal }: EtcdConnectOptions,
): Promise<T> {
  const end = clock.now() + patienceMs;
  const where = servers.origins.join(", ");
  const stopped = aborted(signal);
  const pauses = new Pauses(random, FIRST_PAUSE_MS, LONGEST_PAUSE_MS);
  for (let tries = 1;; tries++) {
    try {
      return await Promise.race([first(), stopped]);
    } catch (cause) {
      const leftMs = end - clock.now();
      const isOver = signal?.aborted === true || !isPassing(cause);
      // One round through the members is one attempt.
      if (!isOver && tries % client.members !== 0) continue;
      if (isOver || leftMs <= 0) throw cannotConnect(where, cause);
      const waitMs = Math.min(pauses.next(), leftMs);
      log.warn(`etcd is not there yet; trying again in ${Math.ceil(waitMs / 1000)} s`, {
        endpoints: where,
        error: (cause as Error).message,
        left_s: Math.ceil(leftMs / 1000),
      });
      await delay(clock, waitMs, signal);
    }
  }
}

/** Rejects when the signal aborts. */
function aborted(signal: AbortSignal | undefined): Promise<never> {
  const never = new Promise<never>((_resolve, reject) => {
    const stop = () => reject(new Error("the worker was told to stop"));
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
  never.catch(() => {});
  return never;
}

function cannotConnect(where: string, cause: unknown): DynamoError {
  const advice = isPassing(cause) ? "; start etcd there, or set ETCD_ENDPOINTS" : "";
  const message = `Cannot connect to etcd at ${where}: ${(cause as Error).message}${advice}`;
  return new DynamoError("CannotConnect", message, { cause });
}
