/**
 * The one error type of the worker contract.
 *
 * @module
 */
import { type ErrorKind, isErrorKind, KINDS } from "./error_catalogue.ts";
import { MAX_CHAIN, messageOf, type PublicDetails, type WireError, wireError } from "./error_wire.ts";
import { describeThrown } from "./thrown.ts";

export type { ErrorKind } from "./error_catalogue.ts";
export type { PublicDetails, PublicLimit, PublicMessage, PublicRateLimit, WireError } from "./error_wire.ts";

/** Settings of a {@linkcode DynamoError}. */
export interface DynamoErrorOptions extends ErrorOptions {
  /**
   * Text that clients may see.
   *
   * @default the message for `InvalidArgument`, a fixed sentence chosen by the frontend for every other kind
   */
  readonly publicMessage?: string | null;
  /** What clients may see in numbers instead: a limit and how far the request is beyond it. Wins over `publicMessage`. */
  readonly publicDetails?: PublicDetails | null;
}

/**
 * A failure that reaches the frontend with its kind, and so the HTTP client with the right status.
 *
 * The message is for operators; clients see it only for `InvalidArgument`. Causes that are a `DynamoError` travel along,
 * and a frontend that migrates requests looks at them too; other causes stay in the process.
 *
 * @source dynamo-backend-common 1.6.1, `error.rs`
 * @example
 * ```ts
 * import { DynamoError } from "@stator/worker";
 *
 * const error = new DynamoError("InvalidArgument", "max_tokens must be at least 1");
 * ```
 */
export class DynamoError extends Error {
  /** Which of the nine kinds it is. */
  readonly kind: ErrorKind;
  /** What clients may see, if anything. */
  readonly publicDetails: PublicDetails | null;

  /**
   * Makes an error of a kind.
   *
   * @throws {RangeError} If there is no such kind.
   */
  constructor(kind: ErrorKind, message: string, options: DynamoErrorOptions = {}) {
    if (!isErrorKind(kind)) {
      throw new RangeError(`Unknown kind of error '${String(kind)}': choose one of ${Object.keys(KINDS).join(", ")}`);
    }
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.name = "DynamoError";
    this.kind = kind;
    this.publicDetails = options.publicDetails ?? publicText(kind, message, options);
  }

  /** Text that clients may see, if any. */
  get publicMessage(): string | null {
    return messageOf(this.publicDetails);
  }

  /**
   * Returns a `DynamoError` as it is and wraps anything else as `Unknown`, keeping it as the cause. It never throws,
   * whatever was thrown.
   */
  static from(thrown: unknown): DynamoError {
    return isDynamoError(thrown) ? thrown : new DynamoError("Unknown", describeThrown(thrown), { cause: thrown });
  }

  /** The error as it travels, with the errors of this type that led to it. */
  toWire(): WireError {
    return chainOf(this).reduceRight<WireError | null>((causedBy, error) => {
      const { kind, message, publicDetails } = error;
      return wireError({ errorType: { Backend: kind }, ...KINDS[kind], message, publicDetails, causedBy });
    }, null)!;
  }

  /** Whether the request itself was at fault, so that trying again cannot help. */
  get isInvalidRequest(): boolean {
    return KINDS[this.kind].class === "InvalidRequest";
  }
}

/**
 * Makes the error of a request that is at fault: the client gets HTTP 400 with this text.
 *
 * @example
 * ```ts
 * import { invalidArgument } from "@stator/worker";
 *
 * function check(maxTokens: number): void {
 *   if (maxTokens < 1) throw invalidArgument("max_tokens must be at least 1");
 * }
 * ```
 */
export function invalidArgument(message: string, options?: DynamoErrorOptions): DynamoError {
  return new DynamoError("InvalidArgument", message, options);
}

function publicText(kind: ErrorKind, message: string, { publicMessage }: DynamoErrorOptions): PublicDetails | null {
  const text = publicMessage === undefined && kind === "InvalidArgument" ? message : publicMessage ?? null;
  return text === null ? null : { type: "message", message: text };
}

/** The error and those of its causes that are of this type, outermost first. A cause that comes round ends the chain. */
function chainOf(error: DynamoError): DynamoError[] {
  const chain: DynamoError[] = [];
  const seen = new Set<unknown>();
  for (let next: unknown = error; seen.size < MAX_CHAIN && !seen.has(next); next = causeOf(next)) {
    seen.add(next);
    if (isDynamoError(next)) chain.push(next);
  }
  return chain;
}

function isDynamoError(thrown: unknown): thrown is DynamoError {
  try {
    return thrown instanceof DynamoError;
  } catch {
    return false; // a proxy may refuse even to be asked
  }
}

function causeOf(thrown: unknown): unknown {
  try {
    return (thrown as { readonly cause?: unknown } | null | undefined)?.cause;
  } catch {
    return undefined;
  }
}
