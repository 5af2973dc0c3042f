/**
 * What operators may do with a running worker: empty it, put it back, look at it, and reach its engine.
 *
 * @module
 */
import type { Engine, JsonObject } from "../engine/engine.ts";
import type { EngineReply, EngineRoute, EngineRoutes } from "../observe/engine_routes.ts";
import type { Log } from "../observe/log.ts";
import type { Clock } from "../platform/platform.ts";
import { type EndpointName, endpointPath, hexId } from "../protocol/record.ts";
import { AdminGate } from "./admin_gate.ts";
import { checkControls, controlRoutes } from "./controls.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { Presence, type PresenceHooks } from "./presence.ts";
import type { Registration } from "./registration.ts";

/** What a {@linkcode WorkerAdmin} works with. */
export interface AdminParts {
  /** The engine. */
  readonly engine: Engine;
  /** Where the worker is in its life. */
  readonly lifecycle: Lifecycle;
  /** Time. */
  readonly clock: Clock;
  /** Log. */
  readonly log: Log;
  /** Aborts when the worker is told to stop. */
  readonly stop: AbortSignal;
  /** Identity in discovery. */
  readonly instanceId: bigint;
  /** The serving endpoint. */
  readonly name: EndpointName;
  /** Time for frontends to learn that the worker has left discovery. @unit seconds */
  readonly graceSeconds: number;
}

/** Requests in the worker at a moment. */
export interface AdminLoad {
  /** Requests that run. */
  readonly active: number;
  /** Requests that wait for a place. */
  readonly queued: number;
  /** When the oldest of them was taken in, by the clock; `null` if there is none. @unit milliseconds */
  readonly oldestAt: number | null;
}

/** What is known once the engine has started. */
export interface MountedParts {
  /** Name clients use. */
  readonly model: string;
  /** Requests now. */
  readonly load: () => AdminLoad;
}

/** What is known once the worker serves. */
export interface OpenedParts extends PresenceHooks {
  /** What discovery was told. */
  readonly registration: Registration;
}

/**
 * The routes under `/engine/`.
 *
 * - `POST drain`: leaves discovery; what is routed here already, or still comes, is served. Then idle, but alive.
 * - `POST resume`: back in discovery, ready.
 * - `GET status`: where the worker is, at any time.
 * - `control/<name>`, `update/<name>`: those of the engine, from {@linkcode mount} on.
 *
 * The first two say what `status` says, and `status: "ok"` with it; said twice they change nothing. In the wrong state
 * they answer 409 with `status: "error"` and a `message`.
 */
export class WorkerAdmin implements EngineRoutes {
  readonly #parts: AdminParts;
  readonly #gate: AdminGate;
  readonly #startedAt: number;
  readonly #routes: Map<string, EngineRoute>;
  #mounted: MountedParts | null = null;
  #opened: { readonly presence: Presence; readonly registration: Registration } | null = null;

  /** @throws {DynamoError} `InvalidArgument` if the engine has a control or an update that cannot be. */
  constructor(parts: AdminParts) {
    checkControls(parts.engine);
    this.#parts = parts;
    this.#gate = new AdminGate(parts.stop);
    this.#startedAt = parts.clock.now();
    this.#routes = new Map<string, EngineRoute>([
      ["drain", { method: "POST", call: () => this.#move((presence) => this.#drain(presence)) }],
      ["resume", { method: "POST", call: () => this.#move((presence) => this.#resume(presence)) }],
      ["status", { method: "GET", call: () => ({ status: 200, body: this.#status() }) }],
    ]);
  }

  /** Whether nothing an operator asked for keeps requests away. */
  get isReady(): boolean {
    return this.#opened?.presence.isReady ?? true;
  }

  find(path: string): EngineRoute | null {
    return this.#routes.get(path) ?? null;
  }

  /** The engine has started: its routes are there, closed. */
  mount(mounted: MountedParts): void {
    this.#mounted = mounted;
    const { engine, log } = this.#parts;
    const opened = () => this.#opened!;
    const gate = this.#gate;
    const parts = { engine, gate, log, presence: () => opened().presence, registration: () => opened().registration };
    for (const [path, route] of controlRoutes(parts)) this.#routes.set(path, route);
  }

  /** The worker serves: its routes are open. */
  open({ registration, ...hooks }: OpenedParts): void {
    this.#opened = { registration, presence: new Presence(registration, this.#parts.clock, hooks) };
    this.#gate.open();
  }

  /** Resolves when no call is in the engine any more. */
  settled(): Promise<void> {
    return this.#gate.settled();
  }

  async #move(call: (presence: Presence) => Promise<EngineReply>): Promise<EngineReply> {
    try {
      const reply = await this.#gate.passInTurn(() => call(this.#opened!.presence));
      return reply ?? refused(409, this.#gate.refusal);
    } catch (error) {
      this.#parts.log.warn("Discovery does not follow", { error });
      const what = error instanceof Error ? error.message : String(error);
      return refused(500, `discovery could not be told, try again: ${what}`);
    }
  }

  async #drain(presence: Presence): Promise<EngineReply> {
    if (!presence.isAbsent("drained")) {
      await presence.leave("drained");
      const { active, queued } = this.#load();
      this.#parts.log.info("Drained by an operator: left discovery", { in_flight: active, queued });
    }
    return this.#done();
  }

  async #resume(presence: Presence): Promise<EngineReply> {
    if (presence.isAbsent("asleep")) {
      return refused(409, "the engine is asleep: use the engine control that wakes it up, such as wake_up");
    }
    if (presence.isAbsent("drained")) {
      await presence.comeBack("drained");
      this.#parts.log.info("Resumed by an operator: back in discovery");
    }
    return this.#done();
  }

  #done(): EngineReply {
    return { status: 200, body: { status: "ok", ...this.#status() } };
  }

  #load(): AdminLoad {
    return this.#mounted?.load() ?? { active: 0, queued: 0, oldestAt: null };
  }

  #status(): JsonObject {
    const { clock, instanceId, name } = this.#parts;
    const { active, queued, oldestAt } = this.#load();
    const seconds = (since: number) => Math.round(clock.now() - since) / 1000;
    return {
      state: this.#state(),
      drained: this.#isDrained(),
      in_flight: active,
      queued,
      oldest_request_seconds: oldestAt === null ? null : seconds(oldestAt),
      instance_id: hexId(instanceId),
      endpoint: endpointPath(name),
      model: this.#mounted?.model ?? null,
      uptime_seconds: seconds(this.#startedAt),
    };
  }

  #state(): string {
    const { state } = this.#parts.lifecycle;
    const presence = this.#opened?.presence;
    if (state !== "ready" || presence === undefined || presence.isReady) return state;
    if (!presence.isAbsent("drained")) return "asleep";
    return this.#isDrained() ? "drained" : "draining";
  }

  /** Whether no request is here, and none is on its way either: frontends take a moment to notice. */
  #isDrained(): boolean {
    const presence = this.#opened?.presence;
    if (presence === undefined || !presence.isAbsent("drained")) return false;
    const { active, queued } = this.#load();
    return active + queued === 0 && presence.awayMs >= 1000 * this.#parts.graceSeconds;
  }
}

function refused(status: 409 | 500, message: string): EngineReply {
  return { status, body: { status: "error", message } };
}
