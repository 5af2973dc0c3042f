/**
 * Reading the members of a decoded message, with errors that name the message and the member.
 *
 * @module
 */

const MAX_U64 = 0xffff_ffff_ffff_ffffn;

/** Checks members of one kind of message. Every method throws a `SyntaxError` that says what is wrong with which. */
export class FieldReader {
  readonly #what: string;

  /** Makes a reader; `what` names the message in errors, such as `discovery record`. */
  constructor(what: string) {
    this.#what = what;
  }

  /** The error of a message that cannot be read. */
  unreadable(why: string, cause?: unknown): SyntaxError {
    return new SyntaxError(`Cannot read ${this.#what}: ${why}`, cause === undefined ? {} : { cause });
  }

  /** A map. */
  object(value: unknown, name: string): Record<string, unknown> {
    this.#present(value, name);
    const isMap = typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
    if (!isMap) throw this.unreadable(`\`${name}\` is not an object`);
    return value as Record<string, unknown>;
  }

  /** An array. */
  list(value: unknown, name: string): readonly unknown[] {
    this.#present(value, name);
    if (!Array.isArray(value)) throw this.unreadable(`\`${name}\` is not an array`);
    return value;
  }

  /** A text. */
  text(value: unknown, name: string): string {
    this.#present(value, name);
    if (typeof value !== "string") throw this.unreadable(`\`${name}\` is not a string`);
    return value;
  }

  /** Bytes. */
  bytes(value: unknown, name: string): Uint8Array {
    this.#present(value, name);
    if (!(value instanceof Uint8Array)) throw this.unreadable(`\`${name}\` is not bytes`);
    return value;
  }

  /** A number, whole or not. */
  number(value: unknown, name: string): number {
    this.#present(value, name);
    if (typeof value !== "number" && typeof value !== "bigint") throw this.unreadable(`\`${name}\` is not a number`);
    return Number(value);
  }

  /** A truth value. */
  bool(value: unknown, name: string): boolean {
    this.#present(value, name);
    if (typeof value !== "boolean") throw this.unreadable(`\`${name}\` is not a boolean`);
    return value;
  }

  /** An unsigned 64-bit integer, however narrow it was sent. */
  u64(value: unknown, name: string): bigint {
    return this.id(typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : value, name);
  }

  /** An unsigned 64-bit integer where the decoder makes a `bigint` of every integer. */
  id(value: unknown, name: string): bigint {
    this.#present(value, name);
    if (typeof value !== "bigint" || value < 0n || value > MAX_U64) {
      throw this.unreadable(`\`${name}\` is not an unsigned 64-bit integer`);
    }
    return value;
  }

  /** An unsigned 32-bit integer. */
  u32(value: unknown, name: string): number {
    this.#present(value, name);
    const number = Number(value);
    if ((typeof value !== "number" && typeof value !== "bigint") || number >>> 0 !== number) {
      throw this.unreadable(`\`${name}\` is not an unsigned 32-bit integer`);
    }
    return number;
  }

  /** One of some texts. */
  oneOf<T extends string>(value: unknown, choices: readonly T[], name: string): T {
    const choice = choices.find((item) => item === value);
    if (choice === undefined) throw this.unreadable(`\`${name}\` is not one of ${choices.join(", ")}`);
    return choice;
  }

  #present(value: unknown, name: string): void {
    if (value === undefined) throw this.unreadable(`missing field \`${name}\``);
  }
}

/** `null` where a member is absent or null, else what `read` makes of it. */
export function orNull<T>(value: unknown, read: (value: unknown) => T): T | null {
  return value === undefined || value === null ? null : read(value);
}
