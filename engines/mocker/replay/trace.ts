/**
 * Traces in Mooncake's format: one JSON object a line, prompts as block names instead of tokens.
 *
 * @source aisimulate-core 0.13.0, `loadgen/trace.rs`, `MooncakeTraceBuilder`
 * @module
 */

/** One request of a trace. */
export interface TraceRow {
  /** Place in the file, from 0, empty lines not counted. */
  readonly index: number;
  /** The session it is a turn of. */
  readonly session: number;
  /** Which turn, from 0. */
  readonly turn: number;
  /** When the first turn of a session arrives, from the beginning of the trace. @unit milliseconds */
  readonly arrivalMs: number;
  /** Pause after the turn before. @unit milliseconds */
  readonly delayMs: number;
  /** Length of the prompt. @unit tokens */
  readonly inputTokens: number;
  /** Length of the answer. @unit tokens */
  readonly outputTokens: number;
  /** Names of the prompt's blocks, numbered by first appearance in the file. */
  readonly blocks: Uint32Array;
  /** Ids of the answer, if the trace plans them. */
  readonly outputTokenIds: readonly number[] | undefined;
}

/** A trace. */
export interface Trace {
  /** Tokens that one name stands for. @unit tokens */
  readonly blockSize: number;
  /** All requests, as in the file. */
  readonly rows: readonly TraceRow[];
  /** Rows by session, in order of turns; sessions in order of appearance. */
  readonly sessions: readonly (readonly TraceRow[])[];
}

interface Line {
  readonly timestamp?: number;
  readonly created_time?: number;
  readonly delay?: number;
  readonly delay_ms?: number;
  readonly input_length?: number;
  readonly input_tokens?: number;
  readonly output_length?: number;
  readonly output_tokens?: number;
  readonly hash_ids?: readonly (number | bigint)[];
  readonly output_token_ids?: readonly number[];
  readonly session_id?: string;
}

/** Numbers with more digits than a double holds. */
const LONG_NUMBER = /\d{16}/;

/** Takes lines one by one. */
export class TraceReader {
  readonly #blockSize: number;
  readonly #names = new Map<number | bigint, number>();
  readonly #sessionNumbers = new Map<string, number>();
  readonly #sessions: TraceRow[][] = [];
  readonly #lastTimestamps: (number | undefined)[] = [];
  readonly #rows: TraceRow[] = [];
  #line = 0;

  /**
   * Makes a reader.
   *
   * @param blockSize Tokens that one name in `hash_ids` stands for. @unit tokens
   * @throws {RangeError} If the block size is no positive integer.
   */
  constructor(blockSize: number) {
    if (!Number.isInteger(blockSize) || blockSize < 1) {
      throw new RangeError(`Cannot read a trace with blocks of ${blockSize} tokens: a block has at least one`);
    }
    this.#blockSize = blockSize;
  }

  /**
   * Takes the next line; empty ones are skipped.
   *
   * @throws {TypeError} If it is no JSON object or lacks a field.
   * @throws {RangeError} If a value does not fit the others.
   */
  push(text: string): void {
    this.#line++;
    if (text.trim() === "") return;
    const line = this.#parse(text);
    const hashIds = line.hash_ids;
    if (!Array.isArray(hashIds)) throw new TypeError(this.#complaint("is missing hash_ids"));
    const output = line.output_length ?? line.output_tokens;
    if (output === undefined) throw new TypeError(this.#complaint("is missing output_length"));
    const capacity = hashIds.length * this.#blockSize;
    const input = line.input_length ?? line.input_tokens ?? capacity;
    this.#checkCount("input_length", input);
    this.#checkCount("output_length", output);
    if (input > capacity) {
      throw new RangeError(this.#complaint(`input_length ${input} exceeds hash_ids capacity ${capacity}`));
    }
    const planned = line.output_token_ids;
    if (planned !== undefined && planned.length !== output) {
      const lengths = `output_length ${output} does not match output_token_ids length ${planned.length}`;
      throw new RangeError(this.#complaint(lengths));
    }
    this.#add(line, input, output, this.#namesOf(hashIds), planned);
  }

  /**
   * The whole trace, with the first arrival at 0.
   *
   * @throws {RangeError} If it has no requests.
   */
  finish(): Trace {
    if (this.#rows.length === 0) throw new RangeError("Cannot replay the trace: it has no requests");
    let first = Infinity;
    for (const session of this.#sessions) first = Math.min(first, session[0]!.arrivalMs);
    const rows = this.#rows.map((row) => row.turn === 0 ? { ...row, arrivalMs: row.arrivalMs - first } : row);
    const sessions: TraceRow[][] = this.#sessions.map(() => []);
    for (const row of rows) sessions[row.session]!.push(row);
    return { blockSize: this.#blockSize, rows, sessions };
  }

  #add(line: Line, input: number, output: number, blocks: Uint32Array, planned?: readonly number[]): void {
    const name = line.session_id ?? `request_${this.#line}`;
    const timestamp = line.timestamp ?? line.created_time;
    let session = this.#sessionNumbers.get(name);
    if (session === undefined) {
      session = this.#sessions.length;
      this.#sessionNumbers.set(name, session);
      this.#sessions.push([]);
      this.#lastTimestamps.push(timestamp);
    }
    const turns = this.#sessions[session]!;
    const row: TraceRow = {
      index: this.#rows.length,
      session,
      turn: turns.length,
      arrivalMs: timestamp ?? 0,
      delayMs: this.#delay(line, session, turns.length, timestamp),
      inputTokens: input,
      outputTokens: output,
      blocks,
      outputTokenIds: planned,
    };
    if (timestamp !== undefined) this.#lastTimestamps[session] = timestamp;
    turns.push(row);
    this.#rows.push(row);
  }

  #delay(line: Line, session: number, turn: number, timestamp: number | undefined): number {
    const explicit = line.delay ?? line.delay_ms;
    if (turn === 0) {
      if (explicit !== undefined && explicit !== 0) {
        throw new RangeError(this.#complaint("sets delay on the first turn of its session"));
      }
      return 0;
    }
    let delay = explicit ?? 0;
    if (explicit === undefined && timestamp !== undefined) {
      const before = this.#lastTimestamps[session];
      if (before === undefined) {
        throw new RangeError(this.#complaint("has a timestamp but the turn before has none: give a delay"));
      }
      delay = timestamp - before;
    }
    if (!(delay >= 0 && delay < Infinity)) throw new RangeError(this.#complaint(`has invalid delay ${delay}`));
    return delay;
  }

  #namesOf(hashIds: readonly (number | bigint)[]): Uint32Array {
    const names = new Uint32Array(hashIds.length);
    for (let i = 0; i < names.length; i++) {
      const id = hashIds[i]!;
      let name = this.#names.get(id);
      if (name === undefined) this.#names.set(id, name = this.#names.size);
      names[i] = name;
    }
    return names;
  }

  #parse(text: string): Line {
    let value: unknown;
    try {
      value = JSON.parse(LONG_NUMBER.test(text) ? text.replace(/"hash_ids"\s*:\s*\[[^\]]*\]/, quoted) : text);
    } catch (error) {
      throw new TypeError(this.#complaint("is no JSON"), { cause: error });
    }
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new TypeError(this.#complaint("is no JSON object"));
    }
    return value as Line;
  }

  #checkCount(name: string, value: number): void {
    if (Number.isSafeInteger(value) && value >= 0) return;
    throw new RangeError(this.#complaint(`has ${name} ${value}: it must be a whole number of tokens`));
  }

  #complaint(text: string): string {
    return `Cannot read line ${this.#line} of the trace: it ${text}`;
  }
}

/** Reads a whole trace. */
export function readTrace(text: string, blockSize: number): Trace {
  const reader = new TraceReader(blockSize);
  for (const line of text.split("\n")) reader.push(line);
  return reader.finish();
}

/** Names only have to differ, so as text they keep all their digits. */
function quoted(ids: string): string {
  return ids.replace(/(?<=[[,]\s*)\d+/g, '"$&"');
}
