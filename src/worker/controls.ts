/**
 * Engine controls and updates: what an engine offers to operators, and what it means for discovery.
 *
 * @module
 */
import type { Engine, JsonObject } from "../engine/engine.ts";
import type { EngineReply, EngineRoute } from "../observe/engine_routes.ts";
import type { Log } from "../observe/log.ts";
import { DynamoError, invalidArgument } from "../protocol/error.ts";
import { stringifyJson } from "../protocol/payload.ts";
import type { AdminGate } from "./admin_gate.ts";
import type { Presence } from "./presence.ts";
import type { Registration } from "./registration.ts";
import { parseTaints } from "./taints.ts";

/** What a control does to the worker, beside what it does to the engine. */
type Policy = "direct" | "leave first" | "come back after";

/** @source dynamo-backend-common 1.6.1, `worker.rs`, `engine_control_policy` */
const POLICIES: ReadonlyMap<string, Policy> = new Map([
  ...["sleep", "pause_generation", "release_memory_occupation"].map((name) => [name, "leave first"] as const),
  ...["wake_up", "resume_generation", "resume_memory_occupation"].map((name) => [name, "come back after"] as const),
]);
const NAME = /^[\w.-]+$/;
const TAINTS = "model_taints";

/** What the routes work with while the worker serves. */
export interface ControlParts {
  /** The engine. */
  readonly engine: Engine;
  /** Whether calls come through. */
  readonly gate: AdminGate;
  /** Log. */
  readonly log: Log;
  /** The worker in discovery; only asked for when the gate is open. */
  readonly presence: () => Presence;
  /** What discovery was told; only asked for when the gate is open. */
  readonly registration: () => Registration;
}

/**
 * Checks the names of an engine's controls and updates.
 *
 * @throws {DynamoError} `InvalidArgument` if one is reserved or cannot be a part of a path, or is no function.
 */
export function checkControls(engine: Engine): void {
  for (const [kind, calls] of [["control", engine.controls ?? {}], ["update", engine.updates ?? {}]] as const) {
    for (const [name, call] of Object.entries(calls)) {
      if (!NAME.test(name)) {
        throw invalidArgument(`engine ${kind} '${name}' cannot be a route: use letters, digits, '_', '-' and '.'`);
      }
      if (typeof call !== "function") throw invalidArgument(`engine ${kind} '${name}' is not a function`);
    }
  }
  if (Object.hasOwn(engine.updates ?? {}, TAINTS)) {
    throw invalidArgument(`engine update '${TAINTS}' conflicts with reserved Dynamo route /engine/update/${TAINTS}`);
  }
}

/** The routes by path: every control, every update, and `update/model_taints`, which all workers have. */
export function controlRoutes(parts: ControlParts): ReadonlyMap<string, EngineRoute> {
  const { engine } = parts;
  const routes = new Map<string, EngineRoute>();
  for (const name of Object.keys(engine.controls ?? {})) {
    routes.set(`control/${name}`, { call: (body) => answer(() => control(name, body, parts)) });
  }
  for (const name of Object.keys(engine.updates ?? {})) {
    routes.set(`update/${name}`, { call: (body) => answer(() => update(name, body, parts)) });
  }
  routes.set(`update/${TAINTS}`, { call: (body) => answer(() => updateTaints(body, parts)) });
  return routes;
}

/** A failure of the worker, told as its own workers tell it: with 200. */
function failed(message: string): JsonObject {
  return { status: "error", message };
}

async function control(name: string, body: unknown, parts: ControlParts): Promise<JsonObject> {
  const { engine, gate, log, presence } = parts;
  if (!isObject(body)) return failed("engine control request body must be a JSON object");
  if (!gate.isOpen) return failed(gate.refusal);
  try {
    await engine.validateControl?.(name, body);
  } catch (error) {
    return failed(describe(DynamoError.from(error)));
  }
  const call = () => callEngine("control", name, body, parts);
  const path = `/engine/control/${name}`;
  const leaveFirst = async (): Promise<JsonObject | null> => {
    try {
      await presence().leave("asleep");
    } catch (error) {
      return failed(`failed to unregister endpoint before ${path}: ${describe(error)}`);
    }
    if (!gate.isOpen) return null;
    const reply = await call();
    if (isError(reply)) log.warn("Engine control failed; the worker stays out of discovery", { control: name });
    return reply;
  };
  const comeBackAfter = async (): Promise<JsonObject | null> => {
    const reply = await call();
    if (isError(reply)) return reply;
    if (reply.is_sleeping === true) {
      log.info("Engine control is done, but the engine cannot serve yet", { control: name });
      return reply;
    }
    if (!gate.isOpen) return null;
    try {
      const isBack = await presence().comeBack("asleep");
      if (!isBack) log.info("Engine can serve again; the worker stays out of discovery: it is drained");
      return reply;
    } catch (error) {
      return failed(
        `engine resumed but re-registration failed after ${path}: ${
          describe(error)
        }; retry ${path} to rejoin discovery`,
      );
    }
  };
  const policy = POLICIES.get(name) ?? "direct";
  const reply = policy === "direct"
    ? await gate.pass(call)
    : await gate.passInTurn(policy === "leave first" ? leaveFirst : comeBackAfter);
  return reply ?? failed(gate.refusal);
}

async function update(name: string, body: unknown, parts: ControlParts): Promise<JsonObject> {
  if (!isObject(body)) return failed("engine update request body must be a JSON object");
  const reply = await parts.gate.pass(() => callEngine("update", name, body, parts));
  return reply ?? failed(parts.gate.refusal);
}

async function updateTaints(body: unknown, { gate, registration }: ControlParts): Promise<JsonObject> {
  const taints = parseTaints(body);
  const reply = await gate.pass(async () => {
    await registration().setTaints(taints);
    return { status: "ok", taints };
  });
  return reply ?? failed(gate.refusal);
}

async function callEngine(
  kind: "control" | "update",
  name: string,
  body: JsonObject,
  { engine, log }: ControlParts,
): Promise<JsonObject> {
  try {
    const calls = (kind === "control" ? engine.controls : engine.updates)!;
    const reply = await calls[name]!(body);
    if (!isObject(reply)) throw new DynamoError("Unknown", `engine ${kind} '${name}' returned no JSON object`);
    // What cannot be sent must fail before it counts as success.
    stringifyJson(reply);
    return reply;
  } catch (error) {
    log.warn(`Engine ${kind} failed`, { [kind]: name, error });
    throw DynamoError.from(error);
  }
}

async function answer(call: () => Promise<JsonObject>): Promise<EngineReply> {
  try {
    return { status: 200, body: await call() };
  } catch (error) {
    return { status: 500, body: { error: "Handler error", message: describe(error) } };
  }
}

/** `<class>: <message>` of what an engine throws, bare words of what the worker says itself. */
function describe(error: unknown): string {
  if (error instanceof DynamoError) return `${error.toWire().class}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}

function isError({ status, success }: JsonObject): boolean {
  return (typeof status === "string" && status.toLowerCase() === "error") || success === false;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
