/**
 * What a recording engine printed, as data.
 *
 * @module
 */
import { parseJson } from "../../src/protocol/payload.ts";
import type { GenerateRequest } from "../../src/protocol/request.ts";
import type { Child } from "./processes.ts";

/** The program of a recording worker. */
export const RECORDING_WORKER = "test/support/recording_engine.ts";

/** One request as the engine got it. */
export interface Recorded {
  readonly id: string;
  readonly request: GenerateRequest;
}

/** All requests so far. */
export function recorded(worker: Child): Recorded[] {
  return worker.stdout().split("\n").filter((line) => line.startsWith('{"id"')).map((line) =>
    parseJson(line) as unknown as Recorded
  );
}

/** The last request. */
export function lastRequest(worker: Child): GenerateRequest {
  const last = recorded(worker).at(-1);
  if (last === undefined) throw new Error(`No request was recorded: ${worker.output()}`);
  return last.request;
}
