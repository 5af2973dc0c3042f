/**
 * Answers that a trace has planned: which tokens a request gets that names one of them.
 *
 * @source dynamo-llm 1.6.1, `mocker.rs`, `ResponseReplayTable`; aisimulate-core 0.13.0, `effective_replay_key`
 * @module
 */

/** Begins the annotation that names a planned answer. */
const ANNOTATION = "output_replay_id:";
const MAX_TOKEN_ID = 0xffff_ffff;

/** Token ids of planned answers, by key. */
export type PlannedAnswers = ReadonlyMap<string, Uint32Array>;

/** The key of the planned answer that a request asks for. */
export function replayKeyOf(annotations: readonly string[]): string | undefined {
  return annotations.find((annotation) => annotation.startsWith(ANNOTATION))?.slice(ANNOTATION.length);
}

/**
 * Reads a trace: JSON lines with `output_token_ids` and their `output_length`; other rows are skipped.
 *
 * The key of a row is its `request_id`, else `<session_id>:<turn>`, else `line:<index>`; turns and lines count from 0.
 *
 * @throws {RangeError} If a row cannot be used; the message names its line.
 */
export function parsePlannedAnswers(trace: string): PlannedAnswers {
  const answers = new Map<string, Uint32Array>();
  const turns = new Map<string, number>();
  for (const [index, line] of trace.split("\n").entries()) {
    if (line.trim() === "") continue;
    const row = parseRow(line, index);
    const turn = turns.get(row.session) ?? 0;
    turns.set(row.session, turn + 1);
    if (row.tokenIds === undefined) continue;
    const key = row.request || (row.session === "" ? `line:${index}` : `${row.session}:${turn}`);
    if (answers.has(key)) throw fault(index, `has the key ${key} again; keys must differ`);
    answers.set(key, row.tokenIds);
  }
  return answers;
}

interface Row {
  /** Empty if there is none, like the next. */
  readonly request: string;
  readonly session: string;
  readonly tokenIds: Uint32Array | undefined;
}

function parseRow(line: string, index: number): Row {
  let row: Record<string, unknown>;
  try {
    row = JSON.parse(line);
  } catch (error) {
    throw fault(index, `is no JSON: ${(error as Error).message}`);
  }
  if (typeof row !== "object" || row === null) throw fault(index, "is no object");
  return {
    request: nameIn(row, "request_id", index),
    session: nameIn(row, "session_id", index),
    tokenIds: tokenIdsIn(row, index),
  };
}

function nameIn(row: Record<string, unknown>, field: string, index: number): string {
  const value = row[field] ?? "";
  if (typeof value === "string") return value.trim();
  throw fault(index, `has a ${field} that is no string`);
}

function tokenIdsIn(row: Record<string, unknown>, index: number): Uint32Array | undefined {
  const ids = row.output_token_ids ?? undefined;
  if (ids === undefined) return undefined;
  const isId = (id: unknown) => typeof id === "number" && Number.isInteger(id) && id >= 0 && id <= MAX_TOKEN_ID;
  if (!Array.isArray(ids) || !ids.every(isId)) throw fault(index, "has output_token_ids that are no token ids");
  const length = row.output_length ?? row.output_tokens;
  if (length === ids.length) return Uint32Array.from(ids);
  throw fault(index, `has ${ids.length} output_token_ids, but output_length ${length ?? "is missing"}`);
}

function fault(index: number, what: string): RangeError {
  return new RangeError(`line ${index + 1} ${what}`);
}
