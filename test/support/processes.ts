/**
 * Child processes of live tests: captured output, waiting for a line, free ports and folders, all of them disposable.
 *
 * @module
 */
import { type ChildProcess as NodeChild, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** How a process ended: one of both is set. */
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** What to run. */
export interface Command {
  /** Short name for messages. */
  readonly name: string;
  readonly executable: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Whether to keep what it prints; a flood of log lines costs time. @default true */
  readonly capture?: boolean;
}

/** A running child. Disposing it ends it, in order if it can, and waits for that. */
export interface Child extends AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  /** Everything printed so far, both streams, without colours. */
  output(): string;
  /** Standard output so far. */
  stdout(): string;
  /** Resolves with the first match in the output; rejects, with the output, when time is up or the process ended. */
  waitFor(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray>;
  signal(name: "SIGTERM" | "SIGINT" | "SIGKILL" | "SIGSTOP" | "SIGCONT"): void;
  /** How it ended. */
  readonly exited: Promise<Exit>;
  /** Like {@linkcode Child.exited}, but rejects, with the output, when time is up. */
  exit(timeoutMs: number): Promise<Exit>;
}

const running = new Set<NodeChild>();
// Whatever a failed test left behind must not outlive the run. Deno fires `unload`, Bun and Node `exit`.
const killAll = () => running.forEach((child) => signalTo(child, "SIGKILL"));
process.on("exit", killAll);
globalThis.addEventListener?.("unload", killAll);

/** Starts a child. Its environment holds the given variables and the few a process cannot do without, nothing else. */
export function start(command: Command): Child {
  const { name, executable, args, cwd } = command;
  const stdio = command.capture === false ? "ignore" : "pipe";
  const child = spawn(executable, [...args], {
    env: { ...essentialEnv(), ...command.env },
    stdio: ["ignore", stdio, stdio],
    ...(cwd === undefined ? {} : { cwd }),
  });
  running.add(child);
  let all = "", out = "";
  const watchers = new Set<() => void>();
  const notify = () => watchers.forEach((watch) => watch());
  const keep = (text: string) => {
    all += stripColours(text);
    notify();
  };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    out += stripColours(text);
    keep(text);
  });
  child.stderr?.setEncoding("utf8").on("data", keep);
  let exit: Exit | undefined;
  const exited = new Promise<Exit>((resolve) => {
    child.once("error", (error) => {
      keep(`cannot start ${name}: ${error.message}\n`);
      resolve(exit = { code: 127, signal: null });
      notify();
    });
    // `close` comes after the last output, `exit` may come before it.
    child.once("close", (code, signal) => {
      running.delete(child);
      resolve(exit = { code, signal });
      notify();
    });
  });
  const fail = (what: string) => new Error(`${name} ${what}; its output:\n${all.slice(-8000)}`);

  const self: Child = {
    name,
    pid: child.pid ?? -1,
    exited,
    output: () => all,
    stdout: () => out,
    signal: (signal) => signalTo(child, signal),
    exit: (timeoutMs) => within(exited, timeoutMs, () => fail(`did not end within ${timeoutMs} ms`)),
    waitFor(pattern, timeoutMs) {
      let look = () => {};
      const found = new Promise<RegExpExecArray>((resolve, reject) => {
        look = () => {
          const match = pattern.exec(all);
          if (match) resolve(match);
          else if (exit) reject(fail(`ended (${JSON.stringify(exit)}) before it printed ${pattern}`));
        };
        watchers.add(look);
        look();
      });
      const late = () => fail(`did not print ${pattern} within ${timeoutMs} ms`);
      return within(found, timeoutMs, late).finally(() => watchers.delete(look));
    },
    async [Symbol.asyncDispose]() {
      if (exit) return;
      signalTo(child, "SIGCONT");
      signalTo(child, "SIGTERM");
      const stubborn = setTimeout(() => signalTo(child, "SIGKILL"), 5000);
      await exited;
      clearTimeout(stubborn);
    },
  };
  return self;
}

/** Runs a command to its end. */
export async function run(command: Command, timeoutMs: number): Promise<Exit & { stdout: string; output: string }> {
  await using child = start(command);
  const exit = await child.exit(timeoutMs);
  return { ...exit, stdout: child.stdout(), output: child.output() };
}

/**
 * Ports come from below the range the system takes ports for clients from, and below 32768, the most that
 * `DYN_SYSTEM_PORT` of Dynamo's own workers can be. Who listens on the first port of a lane has the others for itself.
 */
const PORTS = { first: 20_000, lanes: 240, perLane: 50 };

let lane: Promise<number> | undefined;
let portsGiven = 0;

/** A port that nobody listens on just now, and that no other test file running beside this one is given. */
export async function freePort(): Promise<number> {
  const first = await (lane ??= claimLane());
  for (;;) {
    const port = first + 1 + portsGiven++ % (PORTS.perLane - 1);
    const server = await listenOn(port);
    if (server === null) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/** Takes the first port of a lane until this test file ends; gives that port. */
async function claimLane(): Promise<number> {
  const begin = Math.floor(Math.random() * PORTS.lanes);
  for (let i = 0; i < PORTS.lanes; i++) {
    const port = PORTS.first + (begin + i) % PORTS.lanes * PORTS.perLane;
    const server = await listenOn(port);
    if (server === null) continue;
    server.unref();
    return port;
  }
  throw new Error(`All ${PORTS.lanes} lanes of ports from ${PORTS.first} on are taken`);
}

function listenOn(port: number): Promise<Server | null> {
  return new Promise((resolve) => {
    const server = createServer().once("error", () => resolve(null));
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

/** A folder that goes away when disposed. */
export interface TemporaryFolder extends Disposable {
  readonly path: string;
}

/** Makes a folder for the time of a test. */
export function temporaryFolder(label: string): TemporaryFolder {
  const path = mkdtempSync(join(tmpdir(), `stator-${label}-`));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true, maxRetries: 3 }) };
}

/** Memory a process occupies, and the most it ever did; zeros where `/proc` does not tell. @unit bytes */
export async function memory(pid: number): Promise<{ resident: number; peak: number }> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const kib = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0) * 1024;
  return { resident: kib("VmRSS"), peak: kib("VmHWM") };
}

/** Resolves after a time. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Asks until the answer is neither `undefined` nor `false`; rejects when time is up, with the last failure. */
export async function until<T>(
  what: string,
  timeoutMs: number,
  ask: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  let last: unknown;
  while (performance.now() < end) {
    try {
      const answer = await ask();
      if (answer !== undefined && answer !== false) return answer;
    } catch (error) {
      last = error;
    }
    await pause(20);
  }
  throw new Error(`Waited ${timeoutMs} ms in vain for ${what}`, { cause: last });
}

// Not `child.kill()`: on Deno the first call, whatever the signal, makes the child deaf to the next.
function signalTo(child: NodeChild, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(child.pid, signal);
  } catch {
    // it ended in between
  }
}

async function within<T>(promise: Promise<T>, timeoutMs: number, late: () => Error): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<never>((_, reject) => timer = setTimeout(() => reject(late()), timeoutMs));
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

function essentialEnv(): Record<string, string> {
  const certificates = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR", "DENO_CERT", "DENO_TLS_CA_STORE"];
  const npm = ["npm_config_registry", "NPM_CONFIG_REGISTRY", "DENO_DIR"];
  const names = ["PATH", "HOME", "TMPDIR", "LANG", ...npm, ...certificates];
  return Object.fromEntries(names.flatMap((name) => process.env[name] ? [[name, process.env[name]]] : []));
}

function stripColours(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/\u001b\[[0-9;]*m/g, "");
}
