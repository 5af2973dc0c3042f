/**
 * Reading a request body member by member, with errors that name the member.
 *
 * @module
 */
import { badRequest } from "./openai_error.ts";

/** Bounds of a number. */
export interface NumberRange {
  /** Least value. */
  readonly min?: number;
  /** Greatest value. */
  readonly max?: number;
  /** Whether it must be whole. */
  readonly isInteger?: boolean;
}

/** The members of a JSON object; absent and `null` are the same. */
export class Fields {
  readonly #members: Readonly<Record<string, unknown>>;
  readonly #prefix: string;

  /**
   * Takes an object.
   *
   * @param name Its own name, for errors; the body has none.
   * @throws {GatewayError} If `value` is no object.
   */
  constructor(value: unknown, name = "") {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw badRequest(`${name === "" ? "the body" : `'${name}'`} must be a JSON object`, name === "" ? null : name);
    }
    this.#members = value as Record<string, unknown>;
    this.#prefix = name === "" ? "" : `${name}.`;
  }

  /** The member as it came, `null` when absent. */
  raw(name: string): unknown {
    return this.#members[name] ?? null;
  }

  /** Full name of a member, for errors. */
  path(name: string): string {
    return this.#prefix + name;
  }

  /** A number in a range. */
  number(name: string, range: NumberRange = {}): number | null {
    const value = this.raw(name);
    if (value === null) return null;
    if (typeof value !== "number" || !Number.isFinite(value)) throw this.#wrong(name, "must be a number");
    if (range.isInteger && !Number.isInteger(value)) throw this.#wrong(name, "must be an integer");
    if (range.min !== undefined && value < range.min) throw this.#wrong(name, `must be at least ${range.min}`);
    if (range.max !== undefined && value > range.max) throw this.#wrong(name, `must be at most ${range.max}`);
    return value;
  }

  /** A count below 2^32. */
  count(name: string, min: number): number | null {
    return this.number(name, { min, max: 0xffff_ffff, isInteger: true });
  }

  /** An integer of any size. */
  bigint(name: string): bigint | null {
    const value = this.raw(name);
    if (value === null || typeof value === "bigint") return value;
    if (!Number.isSafeInteger(value)) throw this.#wrong(name, "must be an integer");
    return BigInt(value as number);
  }

  /** A truth value. */
  boolean(name: string): boolean | null {
    const value = this.raw(name);
    if (value !== null && typeof value !== "boolean") throw this.#wrong(name, "must be a boolean");
    return value;
  }

  /** A text. */
  string(name: string): string | null {
    const value = this.raw(name);
    if (value !== null && typeof value !== "string") throw this.#wrong(name, "must be a string");
    return value;
  }

  /** An object; absent is empty. */
  object(name: string): Fields {
    return new Fields(this.raw(name) ?? {}, this.path(name));
  }

  /** A list. */
  array(name: string): readonly unknown[] | null {
    const value = this.raw(name);
    if (value !== null && !Array.isArray(value)) throw this.#wrong(name, "must be an array");
    return value;
  }

  /** A string or a list of strings. */
  strings(name: string): string[] | null {
    const value = this.raw(name);
    if (value === null) return null;
    const list = Array.isArray(value) ? value : [value];
    if (!list.every((item) => typeof item === "string")) {
      throw this.#wrong(name, "must be a string or a list of strings");
    }
    return list;
  }

  #wrong(name: string, what: string): Error {
    return badRequest(`'${this.path(name)}' ${what}`, this.path(name));
  }
}
