/**
 * Copies that share bandwidth in equal parts.
 *
 * @source aisimulate-core 0.13.0, `offload_transfer.rs`, `FairTransfers`
 * @module
 */

/** Which way bytes go: out of the faster tier or back into it. */
export type Direction = "write" | "read";

/** Bytes that a bandwidth moves in a millisecond; 0 has no limit. @unit bytes per millisecond */
export function bytesPerMs(gigabytesPerSecond: number): number {
  return gigabytesPerSecond === 0 ? Infinity : gigabytesPerSecond * 1e6;
}

/** One copy under way. */
export interface Job<Subject> {
  /** What is copied. */
  readonly subject: Subject;
  /** Whose link it goes over; jobs of one client share `clientRate`. */
  readonly client: number;
  /** Which way. */
  readonly direction: Direction;
  /** No byte moves before. @unit milliseconds */
  readonly readyMs: number;
  /** Bytes that are left. @unit bytes */
  bytes: number;
  /** Limit of the client's jobs together. @unit bytes per millisecond */
  readonly clientRate: number;
  /** Limit of all jobs together. @unit bytes per millisecond */
  readonly sharedRate: number;
}

/** A copy that is done. */
export interface Done<Subject> {
  /** What was copied. */
  readonly subject: Subject;
  /** When its last byte arrived. @unit milliseconds */
  readonly atMs: number;
}

/** Jobs of one direction that move bytes: all of them, and those of one client. */
type Movers = ReadonlyMap<string, number>;

/**
 * Moves bytes through virtual time. Every job that is ready gets the smaller of its share of its client's link and its
 * share of the common one; what others leave unused is not given away.
 */
export class FairTransfers<Subject> {
  #jobs: Job<Subject>[] = [];
  #nowMs = 0;

  /** How far it has come. @unit milliseconds */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** When a job gets ready or is done next, if no other comes; infinite without jobs. @unit milliseconds */
  get nextMs(): number {
    return this.#nextMs(this.#movers());
  }

  /** Whether a client has jobs. */
  hasJobs(client: number): boolean {
    return this.#jobs.some((job) => job.client === client);
  }

  /** Begins a job; the caller has advanced to now. */
  submit(job: Job<Subject>): void {
    this.#jobs.push(job);
  }

  /** Gives a job up; whether it was under way. */
  cancel(subject: Subject): boolean {
    const before = this.#jobs.length;
    this.#jobs = this.#jobs.filter((job) => job.subject !== subject);
    return this.#jobs.length < before;
  }

  /** Moves bytes until a time; jobs that are done then, in the order of their ends and, at one time, of their beginnings. */
  advance(untilMs: number): Done<Subject>[] {
    const target = Math.max(untilMs, this.#nowMs);
    const done: Done<Subject>[] = [];
    if (this.#jobs.length === 0) this.#nowMs = target;
    while (this.#jobs.length > 0) {
      const eventMs = this.#nextMs(this.#movers());
      const before = done.length;
      this.#step(Math.min(eventMs, target), done);
      if (eventMs > target) break;
      // Coming here may have made jobs ready that are done at once.
      if (this.#nowMs === target && done.length === before && this.#nextMs(this.#movers()) > target) break;
    }
    this.#nowMs = Math.max(this.#nowMs, target);
    return done;
  }

  #step(toMs: number, done: Done<Subject>[]): void {
    const movers = this.#movers();
    const elapsed = toMs - this.#nowMs;
    const left = this.#jobs.map((job) => {
      if (job.readyMs > this.#nowMs) return job.bytes;
      // Where the last byte is known to arrive, what rounding leaves over does not count.
      if (this.#endMs(job, movers) <= toMs) return 0;
      return Math.max(0, job.bytes - elapsed * rate(job, movers));
    });
    this.#nowMs = toMs;
    this.#jobs = this.#jobs.filter((job, i) => {
      job.bytes = left[i]!;
      const isDone = job.readyMs <= toMs && job.bytes === 0;
      if (isDone) done.push({ subject: job.subject, atMs: toMs });
      return !isDone;
    });
  }

  #nextMs(movers: Movers): number {
    let next = Infinity;
    for (const job of this.#jobs) next = Math.min(next, this.#endMs(job, movers));
    return next;
  }

  #endMs(job: Job<Subject>, movers: Movers): number {
    return job.readyMs > this.#nowMs ? job.readyMs : this.#nowMs + job.bytes / rate(job, movers);
  }

  #movers(): Movers {
    const movers = new Map<string, number>();
    for (const { direction, client, readyMs } of this.#jobs) {
      if (readyMs > this.#nowMs) continue;
      for (const key of [direction, `${direction} ${client}`]) movers.set(key, (movers.get(key) ?? 0) + 1);
    }
    return movers;
  }
}

function rate({ direction, client, clientRate, sharedRate }: Job<unknown>, movers: Movers): number {
  const own = movers.get(`${direction} ${client}`) ?? 1;
  return Math.min(clientRate / own, sharedRate / (movers.get(direction) ?? 1));
}
