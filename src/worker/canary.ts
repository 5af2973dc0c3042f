/**
 * The health canary: a small request of our own when nobody else has sent one for a while.
 *
 * It decides about `/health` only. The worker stays in discovery and goes on serving, and `/live` stays as it is.
 *
 * @module
 */
import { RequestAborted } from "../engine/context.ts";
import type { Log } from "../observe/log.ts";
import { type Clock, delay } from "../platform/platform.ts";
import { failedProbe, type Probe, type ProbeResult } from "./canary_probe.ts";

/** Settings of a {@linkcode Canary}. */
export interface CanaryOptions {
  /** Time. */
  readonly clock: Clock;
  /** Log. */
  readonly log: Log;
  /** Asks the engine. */
  readonly probe: Probe;
  /** Time without activity before a probe. @unit seconds; less than 0.1 counts as that @env DYN_CANARY_WAIT_TIME */
  readonly waitSeconds: number;
  /** Time a probe may take. @unit seconds @env DYN_HEALTH_CHECK_REQUEST_TIMEOUT */
  readonly timeoutSeconds: number;
}

/** Longest timer that every runtime keeps. @unit milliseconds */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** A probe follows the last one at once when there is no wait, and would leave the engine no time for others. */
const LEAST_WAIT_MS = 100;
/** How long an engine may go on with a probe after its end is asked for. @unit milliseconds */
const ABORT_GRACE_MS = 2000;
/** Probes that may hang in the engine, deaf to their signal, before no more are sent. */
const MOST_HANGING = 3;

/**
 * Watches for activity, and probes when there is none.
 *
 * Not ready at first; ready from the first probe that passes or the first item that is served, until a probe fails.
 *
 * @source dynamo-runtime 1.6.1, `health_check.rs`: an endpoint's task, its timer and what resets it. There a probe can
 * overlap the one before, and its failure counts even if requests were served meanwhile.
 */
export class Canary {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #probe: Probe;
  readonly #waitMs: number;
  readonly #timeoutMs: number;
  /** Why it is not ready; `null` if it is. */
  #reason: string | null = "no health check has passed yet";
  #state: "new" | "watching" | "paused" | "stopped" = "new";
  #idleSince = 0;
  #timer: Disposable | null = null;
  /** The probe that is waited for. */
  #current: AbortController | null = null;
  #wasActive = false;
  /** Probes that nobody waits for any more, until the engine lets go of them. */
  readonly #hanging = new Set<Promise<ProbeResult>>();
  #stopped: Promise<void> | null = null;

  /** Makes a canary; nothing is sent before {@linkcode start}. */
  constructor(options: CanaryOptions) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#probe = options.probe;
    this.#waitMs = Math.max(LEAST_WAIT_MS, 1000 * options.waitSeconds);
    this.#timeoutMs = 1000 * options.timeoutSeconds;
  }

  /** Whether the engine answers, as far as is known. */
  get isReady(): boolean {
    return this.#reason === null;
  }

  /** Why it is not ready, for operators; `null` if it is. */
  get reason(): string | null {
    return this.#reason;
  }

  /** Begins to watch; the first probe comes after an idle wait, like all others. */
  start(): void {
    if (this.#state === "new") this.#watch();
  }

  /** Something was served: an item that is no error, or the end of an answer without one. Called for every token. */
  active(): void {
    this.#idleSince = this.#clock.now();
    this.#wasActive = true;
    if (this.#reason !== null) this.#pass("a request was served");
  }

  /** Sends nothing while the engine sleeps: it could not answer, or would wake up. */
  pause(): void {
    if (this.#state !== "watching") return;
    this.#state = "paused";
    this.#quit("stop");
  }

  /** Watches again. An engine that woke up is ready until a probe says otherwise. */
  resume(): void {
    if (this.#state !== "paused") return;
    this.#reason = null;
    this.#watch();
  }

  /** Ends it at once; resolves when the engine has let go of its probes, or has had its time to. */
  stop(): Promise<void> {
    this.#state = "stopped";
    return this.#stopped ??= this.#release();
  }

  async #release(): Promise<void> {
    this.#quit("drain");
    if (this.#hanging.size === 0) return;
    const released = new AbortController();
    Promise.all(this.#hanging).then(() => released.abort());
    await delay(this.#clock, ABORT_GRACE_MS, released.signal);
    if (this.#hanging.size > 0) this.#log.warn("Engine ignores the end of a health check; it is detached");
  }

  #quit(reason: "stop" | "drain"): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    const quitting = this.#current;
    this.#current = null;
    quitting?.abort(new RequestAborted(reason));
  }

  #watch(): void {
    this.#state = "watching";
    this.#idleSince = this.#clock.now();
    this.#arm();
  }

  /** Sets the one timer. Activity does not touch it: whether there was any is looked at when it fires. */
  #arm(): void {
    const restMs = Math.max(0, this.#idleSince + this.#waitMs - this.#clock.now());
    this.#timer = this.#clock.timer(Math.min(restMs, MAX_TIMER_MS), () => {
      this.#timer = null;
      if (this.#clock.now() < this.#idleSince + this.#waitMs) this.#arm();
      else void this.#check();
    });
  }

  async #check(): Promise<void> {
    // From one probe to the next it is a wait, however long the probe takes.
    this.#idleSince = this.#clock.now();
    const control = new AbortController();
    this.#current = control;
    this.#wasActive = false;
    const result = await this.#ask(control);
    // A canary that was paused or stopped meanwhile has no use for the answer.
    if (this.#current !== control) return;
    this.#current = null;
    if (result.isHealthy) this.#pass("a health check passed");
    else this.#fail(result.reason);
    this.#arm();
  }

  async #ask(control: AbortController): Promise<ProbeResult> {
    const { signal } = control;
    const hanging = this.#hanging;
    if (hanging.size >= MOST_HANGING) {
      return { isHealthy: false, reason: `${hanging.size} health checks hang in the engine` };
    }
    const probe = Promise.resolve().then(() => this.#probe(signal)).catch(failedProbe);
    const cut = new Promise<ProbeResult>((resolve) => {
      signal.addEventListener("abort", () => {
        hanging.add(probe);
        probe.then(() => hanging.delete(probe));
        resolve({ isHealthy: false, reason: `timeout after ${this.#timeoutMs / 1000} s` });
      });
    });
    const abort = () => control.abort(new RequestAborted("deadline"));
    using _timer = this.#clock.timer(Math.min(this.#timeoutMs, MAX_TIMER_MS), abort);
    return await Promise.race([cut, probe]);
  }

  #pass(how: string): void {
    if (this.#reason === null) return;
    this.#reason = null;
    // An engine that answers will be asked again, though it may have lost a probe for good.
    this.#hanging.clear();
    this.#log.info(`Endpoint is ready: ${how}`);
  }

  #fail(reason: string): void {
    // What was served since is the better witness.
    if (this.#wasActive) return this.#log.debug("Health check failed beside requests that are served", { reason });
    const isNew = reason !== this.#reason;
    this.#reason = reason;
    // A canary that goes on failing is told once.
    this.#log[isNew ? "warn" : "debug"]("Health check failed; the endpoint is not ready", { reason });
  }
}
