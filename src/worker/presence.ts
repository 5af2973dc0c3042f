/**
 * Whether a running worker is in discovery, and what keeps it out.
 *
 * @module
 */
import type { Clock } from "../platform/platform.ts";
import type { Registration } from "./registration.ts";

/** What keeps a worker out of discovery: its engine cannot serve, or an operator does not want it to. */
export type Absence = "asleep" | "drained";

/** What happens around a departure and a return. */
export interface PresenceHooks {
  /** Called before the endpoint record goes, when readiness is withdrawn already: held prologues must be out by then. */
  readonly leaving?: () => Promise<void>;
  /** Called when the worker wants requests again, also because it could not leave. */
  readonly returned?: () => void;
  /** Called when something begins to keep it out, and when that ends. */
  readonly changed?: (absence: Absence, isThere: boolean) => void;
}

/**
 * In discovery, and ready, as long as nothing keeps it out. Its methods must not overlap.
 *
 * @source dynamo-backend-common 1.6.1, `worker.rs`, `EngineControlPolicy`; there any control that resumes brings the
 * worker back
 */
export class Presence {
  readonly #registration: Registration;
  readonly #clock: Clock;
  readonly #hooks: PresenceHooks;
  readonly #absences = new Set<Absence>();
  #leftAt: number | null = null;

  constructor(registration: Registration, clock: Clock, hooks: PresenceHooks = {}) {
    this.#registration = registration;
    this.#clock = clock;
    this.#hooks = hooks;
  }

  /** Whether nothing keeps the worker out. */
  get isReady(): boolean {
    return this.#absences.size === 0;
  }

  /** Whether this keeps the worker out. */
  isAbsent(absence: Absence): boolean {
    return this.#absences.has(absence);
  }

  /** Time since the record was deleted; 0 while it is there. @unit milliseconds */
  get awayMs(): number {
    return this.#leftAt === null ? 0 : this.#clock.now() - this.#leftAt;
  }

  /** Leaves discovery. @throws {Error} If the record cannot be deleted; the worker is as ready then as it was. */
  async leave(absence: Absence): Promise<void> {
    const wasReady = this.isReady;
    const isNew = !this.#absences.has(absence);
    this.#absences.add(absence);
    try {
      if (wasReady) await this.#hooks.leaving?.();
      await this.#registration.withdraw();
    } catch (error) {
      if (isNew) this.#absences.delete(absence);
      if (wasReady) this.#hooks.returned?.();
      throw error;
    }
    this.#leftAt ??= this.#clock.now();
    if (isNew) this.#hooks.changed?.(absence, true);
  }

  /**
   * Takes an absence away and, if none is left, comes back; a record that is missing for no reason is put back too.
   *
   * @returns Whether the worker is in discovery.
   * @throws {Error} If the record cannot be put; the absence is then still there.
   */
  async comeBack(absence: Absence): Promise<boolean> {
    const isBack = [...this.#absences].every((other) => other === absence);
    if (isBack) await this.#registration.publish();
    if (this.#absences.delete(absence)) this.#hooks.changed?.(absence, false);
    if (!isBack) return false;
    if (this.#leftAt !== null) this.#hooks.returned?.();
    this.#leftAt = null;
    return true;
  }
}
