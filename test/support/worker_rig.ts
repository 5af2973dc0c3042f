/**
 * A whole worker on in-memory discovery and real sockets, with an engine that counts what happens to it.
 *
 * @module
 */
import { MemStore } from "../../src/discovery/mem.ts";
import { FakeClock } from "./fake_clock.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { GenerateContext } from "../../src/engine/context.ts";
import type { Platform } from "../../src/platform/platform.ts";
import { realPlatform } from "../../src/platform/real.ts";
import type { GenerateChunk } from "../../src/protocol/output.ts";
import { decodeInstance } from "../../src/protocol/record.ts";
import type { GenerateRequest } from "../../src/protocol/request.ts";
import { createWorkerOn, type Worker } from "../../src/serve.ts";
import type { WorkerOptions } from "../../src/worker/options.ts";
import type { WorkerInfo } from "../../src/worker/worker.ts";
import { createLog } from "../../src/observe/log.ts";
import {
  openRawFrontend,
  type RawCall,
  type RawFrontend,
  type RawLink,
  type RawRequestOptions,
} from "./raw_frontend.ts";

/** What happened to an engine. */
export interface Probe {
  /** Requests, in order of their `generate`. */
  readonly seen: { readonly request: GenerateRequest; readonly ctx: GenerateContext }[];
  /** Generators that have begun and whose `finally` has not run. */
  open: number;
  /** Generators whose `finally` ran. */
  closed: number;
  /** Ids that `abort` was called with. */
  readonly aborts: string[];
  starts: number;
  drains: number;
  cleanups: number;
  /** Streams open when `cleanup` was called. */
  openAtCleanup: number;
}

/** The generate of an {@linkcode Engine}. */
export type Generate = (
  request: GenerateRequest,
  ctx: GenerateContext,
) => AsyncGenerator<GenerateChunk, void>;

/** An engine that runs `generate` and counts; `members` replace its hooks. */
export function probeEngine(generate: Generate, members: Partial<Engine> = {}): { engine: Engine; probe: Probe } {
  const probe: Probe = {
    seen: [],
    open: 0,
    closed: 0,
    aborts: [],
    starts: 0,
    drains: 0,
    cleanups: 0,
    openAtCleanup: 0,
  };
  const engine: Engine = {
    start(workerId, signal, ctx) {
      probe.starts++;
      return members.start?.(workerId, signal, ctx) ?? Promise.resolve({ model: "probe", contextLength: 4096 });
    },
    async *generate(request, ctx) {
      probe.seen.push({ request, ctx });
      probe.open++;
      try {
        yield* generate(request, ctx);
      } finally {
        probe.open--;
        probe.closed++;
      }
    },
    abort(ctx) {
      probe.aborts.push(ctx.id);
      return members.abort?.(ctx);
    },
    drain(signal) {
      probe.drains++;
      return members.drain?.(signal);
    },
    ...(members.isQuiescent === undefined ? {} : { isQuiescent: members.isQuiescent }),
    cleanup() {
      probe.cleanups++;
      probe.openAtCleanup += probe.open;
      return members.cleanup?.();
    },
  };
  return { engine, probe };
}

/** A worker and a frontend beside it. Disposing it stops both. */
export interface Rig extends AsyncDisposable {
  readonly worker: Worker;
  readonly info: WorkerInfo;
  readonly frontend: RawFrontend;
  /** Records of discovery. */
  readonly store: MemStore;
  /** Where the worker takes requests. */
  readonly address: string;
  /** Path of its endpoint. */
  readonly path: string;
  /** Lines of its log. */
  readonly lines: string[];
  /** A connection for requests. */
  readonly link: RawLink;
  /** A request frame for the worker. */
  frame(options?: RawRequestOptions): Uint8Array;
  /** Sends a request on {@linkcode link}; resolves with its call home. */
  send(options?: RawRequestOptions): Promise<RawCall>;
  /** One sample of `/metrics`, by name and a part of its labels; 0 if it is not there. */
  metric(name: string, label?: string): Promise<number>;
}

/** Settings of {@linkcode startRig}. */
export interface RigOptions {
  readonly worker?: WorkerOptions;
  readonly platform?: Partial<Platform>;
  readonly env?: Readonly<Record<string, string>>;
}

/** A platform of this machine with an environment of its own. */
export function platformWith(parts: Partial<Platform> = {}, env: Readonly<Record<string, string>> = {}): Platform {
  return { ...realPlatform, process: { ...realPlatform.process, env }, ...parts };
}

/** Starts a worker and dials it. */
export async function startRig(engine: Engine, options: RigOptions = {}): Promise<Rig> {
  const lines: string[] = [];
  const log = createLog({ level: "debug", wallTime: () => 0, write: (line) => void lines.push(line) });
  const store = new MemStore();
  await using undo = new AsyncDisposableStack();
  const platform = platformWith(options.platform, options.env);
  const worker = createWorkerOn(platform, engine, { systemPort: 0, ...options.worker }, store, log);
  undo.defer(async () => {
    const stopping = worker.stop();
    if (platform.clock instanceof FakeClock) await passUntilSettled(platform.clock, stopping);
    await stopping;
  });
  const info = await worker.start();
  // Disposed before the worker, so that streams a test leaves behind do not hold the shutdown up.
  const frontend = undo.use(await openRawFrontend());
  const instances = store.list("v1/instances").map(({ value }) => decodeInstance(value));
  const { transport } = instances.find(({ endpoint }) => endpoint === info.endpoint.endpoint)!;
  if (!("tcp" in transport)) throw new TypeError("the worker does not serve over tcp");
  const slash = transport.tcp.indexOf("/");
  const [address, path] = [transport.tcp.slice(0, slash), transport.tcp.slice(slash + 1)];
  const link = await frontend.dial(address);
  const running = undo.move();
  let sent = 0;
  return {
    worker,
    info,
    frontend,
    store,
    address,
    path,
    lines,
    link,
    frame: (request) => frontend.frame(path, request),
    async send(request = {}) {
      const id = request.id ?? `sent-${++sent}`;
      link.write(frontend.frame(path, { ...request, id }));
      return await frontend.call(request.subject ?? id);
    },
    async metric(name, label = "") {
      const text = await (await fetch(`http://${info.systemAddress}/metrics`)).text();
      const line = text.split("\n").find((one) => new RegExp(`^${name}(\\{| )`).test(one) && one.includes(label));
      return Number(line?.split(" ").at(-1) ?? 0);
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** Lets virtual time pass until the promise is settled: a worker's shutdown waits for it. */
async function passUntilSettled(clock: FakeClock, promise: Promise<unknown>): Promise<void> {
  let isSettled = false;
  promise.finally(() => isSettled = true);
  for (let i = 0; i < 1000 && !isSettled; i++) {
    await clock.advance(100);
    await new Promise<void>((resolve) => setTimeout(resolve, 1));
  }
}

/** Waits, in real time, until `ask` says so. */
export async function eventually(what: string, ask: () => boolean | Promise<boolean>, limitMs = 15_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!await ask()) {
    if (performance.now() > end) throw new Error(`Waited ${limitMs} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
