/**
 * What the canary sends, and who says so.
 *
 * @module
 */
import type { Engine, JsonObject } from "../engine/engine.ts";
import type { Log } from "../observe/log.ts";
import type { Files } from "../platform/platform.ts";
import { decodeText, parseJson } from "../protocol/payload.ts";
import { UsageError } from "./command_line.ts";

/** What operators said about the payload. */
export interface PayloadSettings {
  /** JSON text, `@` and the path of a file with such text, or in code the payload itself; empty is unset. */
  readonly healthCheckPayload?: unknown;
  /** The same as text, for those who set no option. @env DYN_HEALTH_CHECK_PAYLOAD */
  readonly healthCheckEnvPayload?: string;
}

/** A payload that an operator set, of whatever type: it replaces the engine's. */
export interface SetPayload {
  /** The payload, as it was parsed. */
  readonly value: unknown;
}

const FLAG = "--health-check-payload";
const ENV = "DYN_HEALTH_CHECK_PAYLOAD";

/**
 * Reads the payload that an operator set; `null` if none is set. To be asked before the engine starts: who mistypes it
 * should not have to wait until a model is loaded.
 *
 * A variable that holds no JSON object is ignored with a warning, as in Dynamo; of an option, Dynamo says no more than
 * that either, but then serves without the probe that was asked for.
 *
 * @throws {UsageError} If the option holds no JSON, or its file cannot be read.
 * @source dynamo-backend-common 1.6.1, `worker.rs`; dynamo 1.6.1, `backend/health_check.py`
 */
export async function readSetPayload(settings: PayloadSettings, files: Files, log: Log): Promise<SetPayload | null> {
  const { healthCheckPayload: option = "", healthCheckEnvPayload = "" } = settings;
  if (typeof option !== "string") return { value: option };
  if (option.trim() !== "") {
    try {
      return { value: await parsePayload(option.trim(), files) };
    } catch (error) {
      throw new UsageError(`${FLAG}: ${(error as Error).message}`);
    }
  }
  const text = healthCheckEnvPayload.trim();
  if (text === "") return null;
  try {
    const value = await parsePayload(text, files);
    if (isObject(value)) return { value };
    log.warn(`${ENV} is ignored: it is no JSON object`);
  } catch (error) {
    log.warn(`${ENV} is ignored: ${(error as Error).message}`);
  }
  return null;
}

/** Errors are one line without the text itself, which may be long and is nobody else's business. */
async function parsePayload(text: string, files: Files): Promise<unknown> {
  const path = text.startsWith("@") ? text.slice(1) : null;
  let json = text;
  if (path !== null) {
    try {
      json = decodeText(await files.read(path));
    } catch (error) {
      const { code, message } = error as { readonly code?: string; readonly message: string };
      throw new Error(`cannot read ${path}: ${code ?? message}`);
    }
  }
  try {
    return parseJson(json);
  } catch {
    throw new Error(path === null ? "the value is no JSON; a file is named as @path" : `${path} holds no JSON`);
  }
}

/**
 * The payload to send, with its marker; `null` if there is to be no canary. To be asked after the engine has started.
 *
 * @param set What {@linkcode readSetPayload} returned; it replaces the engine's payload as a whole.
 */
export function resolvePayload(set: SetPayload | null, engine: Engine, log: Log): JsonObject | null {
  let value: unknown;
  try {
    value = set === null ? engine.healthCheckPayload?.() ?? null : set.value;
  } catch (error) {
    log.warn("engine.healthCheckPayload() failed; the health check canary is off", { error });
    return null;
  }
  if (set === null && value === null) return null;
  if (isObject(value)) return { ...value, _HEALTH_CHECK: true };
  log.warn("The health check payload is no JSON object; the canary is off", { type: typeOf(value) });
  return null;
}

function isObject(value: unknown): value is JsonObject {
  return typeOf(value) === "object";
}

function typeOf(value: unknown): string {
  return value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
}
