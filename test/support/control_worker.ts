/**
 * The worker of `control_engine.ts`, on Stator and on Dynamo's own Python worker, with an operator at its system server.
 *
 * @module
 */
import { join } from "node:path";
import { CHAT, chat, type Frontend } from "./frontend.ts";
import { PYTHON, REPOSITORY, TINY_MODEL } from "./peers.ts";
import { type Child, freePort, start, until } from "./processes.ts";
import { startReadyStator } from "./stator.ts";
import type { Store } from "./store.ts";

/** Whose worker it is. */
export type Maker = "stator" | "dynamo";

/** What an operator sees of an answer. */
export interface Reply {
  readonly status: number;
  // deno-lint-ignore no-explicit-any -- bodies are compared with what the other worker says
  readonly body: any;
}

/** A worker, and what an operator can do with it. */
export interface ControlWorker extends AsyncDisposable {
  readonly child: Child;
  /** `POST`s to the system server; the path stands below `/engine/`. */
  post(path: string, body?: unknown): Promise<Reply>;
  /** Status of a route of the system server. */
  status(path: "/health" | "/live"): Promise<number>;
}

/** Starts a worker and waits until its system server answers. */
export async function startControlWorker(
  maker: Maker,
  store: Store,
  more: Readonly<Record<string, string>> = {},
): Promise<ControlWorker> {
  const port = await freePort();
  const env = { DYN_SYSTEM_PORT: String(port), DYN_SYSTEM_HOST: "127.0.0.1", ...more };
  const child = maker === "stator"
    ? await startReadyStator(store, { program: "test/support/control_engine.ts", env })
    : startPython(store, env);
  const ask = async (path: string, init?: RequestInit) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
    return { status: response.status, body: parse(await response.text()) };
  };
  await until("the system server to answer", 60_000, async () => (await ask("/health")).status > 0);
  return {
    child,
    post: (path, body = {}) => ask(`/engine/${path}`, { method: "POST", body: JSON.stringify(body) }),
    status: async (path) => (await ask(path)).status,
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}

/** Whether clients can use the worker: it is listed, it has a record, and a chat is answered. */
export async function visibility(frontend: Frontend, store: Store): Promise<Record<string, unknown>> {
  const answer = await frontend.post(CHAT, chat(TINY_MODEL, "x", { max_tokens: 1 }));
  return {
    isListed: (await frontend.models()).includes(TINY_MODEL),
    isRecorded: store.keys("v1/instances").some((key) => key.includes("generate")),
    chat: answer.status,
  };
}

function startPython(store: Store, env: Readonly<Record<string, string>>): Child {
  return start({
    name: "python control worker",
    executable: PYTHON,
    args: [
      ...[join(REPOSITORY, "test/support/peers/control_worker.py"), "--discovery-backend", "file"],
      ...["--model-name", TINY_MODEL, "--max-tokens", "1"],
    ],
    env: { ...store.env, DYN_LOG: "info", HOME: join(store.path, "worker-home"), ...env },
    cwd: store.path,
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
