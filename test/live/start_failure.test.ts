/**
 * A worker that cannot start, as a process: exit code 1, and one line that says what, where and what to change.
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { startStator } from "../support/stator.ts";
import { makeStore } from "../support/store.ts";

/** A port somebody listens on. */
async function takenPort(): Promise<{ port: string } & Disposable> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { readonly port: number };
  return { port: String(port), [Symbol.dispose]: () => void server.close() };
}

/** What stands in the way, and the whole line that says so. */
interface Failure {
  readonly program?: string;
  readonly env?: (port: string, folder: string) => Record<string, string>;
  readonly args?: (port: string) => string[];
  readonly line: RegExp;
  /** Whether the engine was started, and so is cleaned up. */
  readonly isStarted?: boolean;
}

const FAILURES: Readonly<Record<string, Failure>> = {
  "engine.start() throws": {
    program: "test/support/fault_engine.ts",
    env: () => ({ STATOR_TEST_START_THROWS: "Error" }),
    line: /^EngineShutdown: engine\.start\(\) failed: Error: raised Error$/,
    isStarted: true,
  },
  "engine.start() throws an error of a kind": {
    program: "test/support/fault_engine.ts",
    env: () => ({ STATOR_TEST_START_THROWS: "CannotConnect" }),
    line: /^CannotConnect: raised CannotConnect$/,
    isStarted: true,
  },
  "engine.start() throws undefined": {
    program: "test/support/fault_engine.ts",
    env: () => ({ STATOR_TEST_START_THROWS: "undefined" }),
    line: /^EngineShutdown: engine\.start\(\) failed: undefined$/,
    isStarted: true,
  },
  "the contract refuses the configuration": {
    program: "test/support/fault_engine.ts",
    args: () => ["--endpoint-types", "chat,foo"],
    line: /^InvalidArgument: unknown endpoint type 'foo'$/,
    isStarted: true,
  },
  "the discovery store is no folder": {
    env: (_port, folder) => ({ DYN_FILE_KV: join(folder, "file") }),
    line: /^CannotConnect: Cannot write to the discovery store \S+\/file: ENOTDIR.*\(DYN_FILE_KV names a folder\)$/,
  },
  "the discovery store cannot be made": {
    env: () => ({ DYN_FILE_KV: "/proc/stator" }),
    line: /^CannotConnect: Cannot write to the discovery store \/proc\/stator: E.*\(DYN_FILE_KV names a folder\)$/,
  },
  "the port for requests is taken": {
    env: (port) => ({ DYN_TCP_RPC_PORT: port }),
    line: /^CannotConnect: Cannot listen for requests on 127\.0\.0\.1:\d+: the port is in use \(.*DYN_TCP_RPC_PORT\)$/,
  },
  "the port of the system server is taken": {
    env: (port) => ({ DYN_SYSTEM_PORT: port, DYN_SYSTEM_HOST: "127.0.0.1" }),
    line: /^CannotConnect: Cannot open the system server on 127\.0\.0\.1:\d+: the port is in use \(DYN_SYSTEM_PORT\)$/,
  },
  "the port of the gateway is taken": {
    args: (port) => ["--gateway-port", port],
    line: /^Cannot open the gateway on 127\.0\.0\.1, port \d+: the port is in use; choose another .* --gateway-port$/,
  },
};

for (const runtime of ["deno", "bun"] as const) {
  test(`a worker on ${runtime} that cannot start says why in one line`, { timeout: 120_000 }, async (t) => {
    using taken = await takenPort();
    using store = makeStore("start-failure");
    writeFileSync(join(store.path, "file"), "");
    for (const [name, { program, env, args, line, isStarted }] of Object.entries(FAILURES)) {
      await t.test(name, async () => {
        await using worker = await startStator(store, {
          runtime,
          ...(program === undefined ? {} : { program }),
          args: args?.(taken.port) ?? [],
          env: { ...env?.(taken.port, store.path) },
        });
        assert.deepEqual(await worker.exit(30_000), { code: 1, signal: null }, worker.output());
        const lines = worker.output().split("\n").filter((text) => text !== "" && !/^\d{4}-\S+ +INFO /.test(text));
        // The engine's events and the line come by two pipes, whose order nobody keeps.
        const isEvent = (text: string) => text.startsWith("{");
        const [said, ...others] = lines.filter((text) => !isEvent(text));
        assert.match(said!, line);
        assert.deepEqual(others, [], "nothing else is printed, no stack least of all");
        const events = lines.filter(isEvent).map((text) => JSON.parse(text).event);
        assert.deepEqual(
          events.filter((event) => event !== "started"),
          isStarted ? ["start", "cleanup", "cleaned up"] : [],
        );
        assert.deepEqual(store.keys(), [], "nothing of the worker is left");
      });
    }
  });
}
