/**
 * What the fault engine throws, by name.
 *
 * @module
 */
import { DynamoError, type ErrorKind } from "@stator/worker";

/** Stands in every text that no client may see. */
export const OPERATOR_TEXT = "operator only: token=abc123";

/** Makes the thing to throw; a name that is none of these is a kind. */
export function faultError(name: string): unknown {
  // The captures were made with this text.
  const message = `raised ${name}`;
  switch (name) {
    case "Error":
      return new Error(message);
    case "string":
      return `${message}; ${OPERATOR_TEXT}`;
    case "private InvalidArgument":
      return new DynamoError("InvalidArgument", message, { publicMessage: null });
    case "size_limit":
    case "context_length":
      return invalid({ type: name, limit: 4096, actual: 5000n });
    case "rate_limit":
      return invalid({ type: name, limit: 10, remaining: 0 });
    case "public Unknown":
      return new DynamoError("Unknown", OPERATOR_TEXT, { publicMessage: "the tokenizer is missing" });
    case "Unknown with public cause":
      return new DynamoError("Unknown", OPERATOR_TEXT, { cause: new DynamoError("InvalidArgument", OPERATOR_TEXT) });
    case "Error with typed cause":
      return new Error(OPERATOR_TEXT, { cause: new DynamoError("Disconnected", OPERATOR_TEXT) });
    case "AggregateError":
      return new AggregateError([new Error(OPERATOR_TEXT), OPERATOR_TEXT], OPERATOR_TEXT);
    case "undefined":
      return undefined;
    case "hostile object":
      return new Proxy({}, { get: refuse, getPrototypeOf: refuse, ownKeys: refuse });
    default:
      return new DynamoError(name as ErrorKind, message);
  }
}

function invalid(publicDetails: NonNullable<DynamoError["publicDetails"]>): DynamoError {
  return new DynamoError("InvalidArgument", OPERATOR_TEXT, { publicDetails });
}

function refuse(): never {
  throw new Error(OPERATOR_TEXT);
}
