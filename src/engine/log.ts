/**
 * What an engine has to say to operators.
 *
 * @module
 */

/** Values that belong to a line, by name. Prompts and tokens do not belong to any. */
export type EngineLogFields = Readonly<Record<string, unknown>>;

/**
 * Takes an engine's log lines. They look like the worker's, on standard error, with `stator::engine` for a target:
 * `DYN_LOG=info,stator::engine=debug` shows more of them than of the rest.
 *
 * A call never throws, whatever it is given, and one that `DYN_LOG` does not ask for looks at nothing. The methods need
 * no `this`, so they can be handed on by themselves.
 */
export interface EngineLog {
  /** Detail of one request. */
  debug(message: string, fields?: EngineLogFields): void;
  /** A step in the engine's life. */
  info(message: string, fields?: EngineLogFields): void;
  /** Something is wrong, and the engine goes on. */
  warn(message: string, fields?: EngineLogFields): void;
  /** Something is lost. */
  error(message: string, fields?: EngineLogFields): void;
}
