/**
 * A process of a simulated world.
 *
 * @module
 */
import type { Process } from "../../platform/platform.ts";

/** The process of a worker under test: the world sends it signals and faults. */
export class PartyProcess implements Process {
  /** @inheritDoc */
  readonly args: readonly string[] = [];
  /** @inheritDoc */
  readonly env: Readonly<Record<string, string>> = {};
  readonly #signals = new Map<string, Set<() => void>>();
  readonly #faults = new Set<(error: unknown) => void>();

  /** Handlers of signals and faults that are still there. */
  get handlers(): number {
    return this.#faults.size + [...this.#signals.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** Sends a signal. @returns Whether anybody cared; else the process would have ended. */
  signal(name: "SIGINT" | "SIGTERM"): boolean {
    const handlers = [...this.#signals.get(name) ?? []];
    for (const run of handlers) run();
    return handlers.length > 0;
  }

  /** Reports an error that nobody caught. @returns Whether anybody cared. */
  fault(error: unknown): boolean {
    const handlers = [...this.#faults];
    for (const run of handlers) run(error);
    return handlers.length > 0;
  }

  /** @inheritDoc */
  onSignal(signal: "SIGINT" | "SIGTERM", run: () => void): Disposable {
    const handlers = this.#signals.get(signal) ?? new Set();
    this.#signals.set(signal, handlers);
    return member(handlers, () => run());
  }

  /** @inheritDoc */
  onFault(run: (error: unknown) => void): Disposable {
    return member(this.#faults, (error) => run(error));
  }

  /** @inheritDoc */
  exit(): void {}

  /** @inheritDoc */
  print(): void {}

  /** @inheritDoc */
  printError(): void {}
}

/** Puts something of its own into a set until it is disposed. */
function member<T>(set: Set<T>, item: T): Disposable {
  set.add(item);
  return { [Symbol.dispose]: () => void set.delete(item) };
}
