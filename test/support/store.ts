/**
 * A file discovery store of one test, read independently of our own reader.
 *
 * @module
 */
import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TemporaryFolder, temporaryFolder } from "./processes.ts";

/** One record: `bucket/path` and its JSON, parsed except for 64-bit numbers. */
export interface StoredRecord {
  readonly key: string;
  readonly text: string;
}

/** The store. Disposing it removes the folder. */
export interface Store extends TemporaryFolder {
  /** Variables that make a Dynamo process use this store and nothing outside this machine. */
  readonly env: Readonly<Record<string, string>>;
  /** Records of published files, sorted by key. */
  records(): StoredRecord[];
  /** Keys that hold a text. */
  keys(part?: string): string[];
  /** Puts another text in a record's file, at once for every reader. */
  rewrite(key: string, text: string): void;
}

/** Makes an empty store, with a fresh `HOME`: frontends cache model files there across runs. */
export function makeStore(label: string): Store {
  const folder = temporaryFolder(label);
  const root = join(folder.path, "store");
  const env = {
    DYN_FILE_KV: root,
    DYN_DISCOVERY_BACKEND: "file",
    DYN_REQUEST_PLANE: "tcp",
    DYN_EVENT_PLANE: "zmq",
    DYN_TCP_RPC_HOST: "127.0.0.1",
    DYN_TCP_RESPONSE_STREAM_HOST: "127.0.0.1",
    DYN_SDK_DISABLE_ANSI_LOGGING: "1",
    DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS: "0",
    HF_HUB_OFFLINE: "1",
    HOME: folder.path,
  };
  const records = () =>
    listed(join(root, "v1")).flatMap((bucket) =>
      listed(join(root, "v1", bucket)).filter((name) => !name.startsWith(".tmp_")).flatMap((name) => {
        const key = `v1/${bucket}/${decodeURIComponent(name)}`;
        const text = readIfThere(join(root, "v1", bucket, name));
        return text === undefined ? [] : [{ key, text }];
      })
    ).sort((a, b) => a.key < b.key ? -1 : 1);
  const keys = (part = "") => records().map((record) => record.key).filter((key) => key.includes(part));
  const rewrite = (key: string, text: string) => {
    const [, bucket, name] = /^v1\/(\w+)\/(.*)$/.exec(key)!;
    const folder = join(root, "v1", bucket!);
    const file = listed(folder).find((each) => decodeURIComponent(each) === name)!;
    writeFileSync(join(folder, ".tmp_rewrite"), text);
    renameSync(join(folder, ".tmp_rewrite"), join(folder, file));
  };
  return { path: folder.path, env, records, keys, rewrite, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

function listed(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // nobody has published there yet
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // deleted between listing and reading
  }
}
