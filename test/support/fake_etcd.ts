/**
 * An etcd in memory behind its JSON gateway: keys, leases, watches, users, and faults on demand.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import {
  type Clock,
  delay,
  type HttpAnswer,
  type HttpClient,
  type HttpClients,
  type HttpRequest,
  type TlsMaterial,
} from "../../src/platform/platform.ts";

import { SpokenBody, whenAborted } from "./spoken_body.ts";

/** What happens to one call instead of, or after, what should. */
export type EtcdMishap =
  /** Nobody listens. */
  | "refuse"
  /** It is done, and the connection breaks before the answer. */
  | "cut"
  /** No answer ever comes. */
  | "hang"
  /** It has no leader. */
  | "leaderless"
  /** Something else answers. */
  | { readonly status: number; readonly contentType: string; readonly body: string };

/** One call as it came. */
export interface EtcdReceived {
  readonly origin: string;
  readonly path: string;
  // deno-lint-ignore no-explicit-any -- JSON, compared with captures
  readonly body: any;
  readonly token: string | undefined;
}

interface Entry {
  readonly value: string;
  readonly lease: bigint;
  readonly created: bigint;
  readonly changed: bigint;
  readonly version: bigint;
}

interface Lease {
  readonly ttl: number;
  readonly until: number;
  expires: Disposable;
}

interface Watcher {
  readonly origin: string;
  readonly key: string;
  readonly end: string;
  readonly stream: SpokenBody;
}

/** The store and its gateway. */
export class FakeEtcd implements HttpClients {
  /** Calls in order. */
  readonly received: EtcdReceived[] = [];
  /** Decides what happens to a call; nothing out of the ordinary by default. */
  mishap: (call: EtcdReceived) => EtcdMishap | null = () => null;
  /** Name and password that is asked for, and the token for it. */
  user: { readonly name: string; readonly password: string; token: string } | null = null;
  /** What clients were opened with. */
  readonly tls: (TlsMaterial | undefined)[] = [];
  /** Clients that are open. */
  clients = 0;
  revision = 1n;
  /** How long every answer takes. @unit milliseconds */
  delayMs = 0;
  readonly #clock: Clock;
  readonly #keys = new Map<string, Entry>();
  readonly #leases = new Map<bigint, Lease>();
  readonly #watchers = new Set<Watcher>();
  #nextLease = 6168420797420696837n;
  #compacted = 0n;
  /** Changes by revision, for watches that begin in the past. */
  #history: { readonly revision: bigint; readonly key: string; readonly event: object }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Keys and values, in order of keys. */
  get entries(): readonly (readonly [string, string])[] {
    return [...this.#keys].map(([key, { value }]) => [key, value] as const).sort(([a], [b]) => a < b ? -1 : 1);
  }

  /** Keys without their values. */
  get keys(): readonly string[] {
    return this.entries.map(([key]) => key);
  }

  /** Leases that live. */
  get leases(): readonly bigint[] {
    return [...this.#leases.keys()];
  }

  /** Streams that are open. */
  get streams(): number {
    return this.#watchers.size;
  }

  /** Streams that are open at a member. */
  streamsAt(origin: string): number {
    return [...this.#watchers].filter((watcher) => watcher.origin === origin).length;
  }

  /** Says something on every stream. */
  sayToStreams(message: object): void {
    for (const { stream } of this.#watchers) stream.say(message);
  }

  open(tls?: TlsMaterial): HttpClient {
    this.tls.push(tls);
    this.clients++;
    return {
      send: (request) => this.#post(request),
      [Symbol.dispose]: () => void this.clients--,
    };
  }

  /** Somebody writes a key, on a lease of theirs or on none. */
  write(key: string, value: string, lease = 0n): void {
    this.#put(key, value, lease);
  }

  /** Somebody deletes a key. */
  remove(key: string): void {
    this.#delete([key]);
  }

  /** Somebody revokes a lease, or its time is up. */
  revoke(id: bigint): boolean {
    const lease = this.#leases.get(id);
    if (lease === undefined) return false;
    lease.expires[Symbol.dispose]();
    this.#leases.delete(id);
    this.#delete([...this.#keys].filter(([, entry]) => entry.lease === id).map(([key]) => key));
    return true;
  }

  /** Ends every stream, in the middle of a line if there is something to say. */
  cutStreams(last = ""): void {
    for (const watcher of [...this.#watchers]) {
      if (last !== "") watcher.stream.push(last);
      watcher.stream.fail(new Error("connection reset"));
    }
  }

  /** Forgets the history, so that no watch can begin in it. */
  compact(): void {
    this.#compacted = this.revision;
    this.#history = [];
  }

  /** All data is gone, as with an empty folder. */
  wipe(): void {
    for (const { expires } of this.#leases.values()) expires[Symbol.dispose]();
    this.#leases.clear();
    this.#keys.clear();
    this.#history = [];
    this.revision = 1n;
  }

  /** The clock of leases starts anew, as after a restart. */
  restart(): void {
    this.cutStreams();
    for (const [id, { ttl, expires }] of this.#leases) {
      expires[Symbol.dispose]();
      this.#arm(id, ttl);
    }
  }

  async #post({ url, body, headers, signal }: HttpRequest): Promise<HttpAnswer> {
    const { origin, pathname: path } = new URL(url);
    const call: EtcdReceived = { origin, path, body: JSON.parse(body!), token: headers.authorization };
    this.received.push(call);
    await (this.delayMs > 0 ? delay(this.#clock, this.delayMs, signal) : Promise.resolve());
    signal.throwIfAborted();
    const mishap = this.mishap(call);
    if (mishap === "refuse") throw Object.assign(new TypeError("connection refused"), { code: "ConnectionRefused" });
    if (mishap === "hang") return await new Promise((_resolve, reject) => whenAborted(signal, reject));
    if (mishap === "leaderless") return failure(503, 14, "etcdserver: no leader");
    if (typeof mishap === "object" && mishap !== null) {
      return { status: mishap.status, contentType: mishap.contentType, body: once(mishap.body) };
    }
    const answer = this.#answer(call, signal);
    if (mishap === "cut") throw new TypeError("connection reset");
    return answer;
  }

  #answer({ origin, path, body, token }: EtcdReceived, signal: AbortSignal): HttpAnswer {
    if (path === "/v3/auth/authenticate") return this.#authenticate(body);
    if (this.user !== null && token === undefined) return failure(400, 3, "etcdserver: user name is empty");
    if (this.user !== null && token !== this.user.token) return failure(401, 16, "etcdserver: invalid auth token");
    if (path === "/v3/lease/grant") return this.#grant(body);
    if (path === "/v3/lease/keepalive") return this.#keepAlive(BigInt(body.ID));
    if (path === "/v3/lease/timetolive") return this.#timeToLive(BigInt(body.ID));
    if (path === "/v3/lease/revoke") {
      return this.revoke(BigInt(body.ID)) ? this.#ok() : failure(404, 5, "etcdserver: requested lease not found");
    }
    if (path === "/v3/kv/txn") return this.#transact(body);
    if (path === "/v3/kv/range") return this.#ok(this.#range(body.key, body.range_end));
    if (path === "/v3/kv/deleterange") return this.#ok({ deleted: String(this.#delete([decode(body.key)])) });
    if (path === "/v3/maintenance/status") return this.#ok({ version: "3.5.1", leader: "12428976124636271536" });
    if (path === "/v3/watch") return this.#watch(origin, body.create_request, signal);
    return { status: 404, contentType: "text/plain", body: once("Not Found") };
  }

  #authenticate({ name, password }: { name: string; password: string }): HttpAnswer {
    if (this.user === null) return failure(400, 9, "etcdserver: authentication is not enabled");
    if (name !== this.user.name || password !== this.user.password) {
      return failure(400, 3, "etcdserver: authentication failed, invalid user ID or password");
    }
    return this.#ok({ token: this.user.token });
  }

  /** Somebody takes a lease of that number. */
  take(id: bigint, ttl = 30): void {
    this.#arm(id, ttl);
  }

  #grant({ TTL, ID }: { TTL: number | string; ID?: string }): HttpAnswer {
    const id = ID === undefined ? this.#nextLease++ : BigInt(ID);
    if (this.#leases.has(id)) return failure(400, 9, "etcdserver: lease already exists");
    this.#arm(id, Number(TTL));
    return this.#ok({ ID: String(id), TTL: String(TTL) });
  }

  #arm(id: bigint, ttl: number): void {
    const until = this.#clock.now() + 1000 * ttl;
    this.#leases.set(id, { ttl, until, expires: this.#clock.timer(1000 * ttl, () => void this.revoke(id)) });
  }

  /** Full seconds that are left; at the very beginning a moment has passed already. */
  #timeToLive(id: bigint): HttpAnswer {
    const lease = this.#leases.get(id);
    if (lease === undefined) return this.#ok({ ID: String(id), TTL: "-1" });
    const ttl = String(Math.ceil((lease.until - this.#clock.now()) / 1000) - 1);
    const keys = [...this.#keys].filter(([, entry]) => entry.lease === id).map(([key]) => encode(key));
    return this.#ok({ ID: String(id), TTL: ttl, grantedTTL: String(lease.ttl), ...(keys.length > 0 ? { keys } : {}) });
  }

  #keepAlive(id: bigint): HttpAnswer {
    const lease = this.#leases.get(id);
    if (lease === undefined) return this.#ok({ result: { header: this.#header, ID: String(id) } }, false);
    lease.expires[Symbol.dispose]();
    this.#arm(id, lease.ttl);
    return this.#ok({ result: { header: this.#header, ID: String(id), TTL: String(lease.ttl) } }, false);
  }

  // deno-lint-ignore no-explicit-any -- JSON
  #transact({ compare: [condition], success: [{ requestPut }], failure: [{ requestRange }] }: any): HttpAnswer {
    const key = decode(condition.key);
    const entry = this.#keys.get(key);
    const isSo = condition.target === "VERSION"
      ? String(entry?.version ?? 0n) === condition.version
      : String(entry?.changed ?? 0n) === condition.modRevision;
    if (!isSo) {
      const range = { ...this.#range(requestRange.key), header: { revision: String(this.revision) } };
      return this.#ok({ responses: [{ response_range: range }] });
    }
    const lease = BigInt(requestPut.lease);
    if (!this.#leases.has(lease)) return failure(404, 5, "etcdserver: requested lease not found");
    this.#put(key, decode(requestPut.value), lease);
    return this.#ok({
      succeeded: true,
      responses: [{ response_put: { header: { revision: String(this.revision) } } }],
    });
  }

  #range(from: string, to?: string): object {
    const found = this.entries.filter(([key]) => inRange(key, decode(from), to === undefined ? "" : decode(to)));
    const kvs = found.map(([key]) => this.#describe(key));
    return { header: this.#header, ...(kvs.length === 0 ? {} : { kvs, count: String(kvs.length) }) };
  }

  #watch(
    origin: string,
    { key, range_end, start_revision = String(this.revision + 1n) }: {
      key: string;
      range_end: string;
      start_revision?: string;
    },
    signal: AbortSignal,
  ): HttpAnswer {
    const stream = new SpokenBody();
    const watcher: Watcher = { origin, key: decode(key), end: decode(range_end), stream };
    stream.say({ result: { header: this.#header, created: true } });
    if (BigInt(start_revision) <= this.#compacted) {
      stream.say({ result: { header: this.#header, canceled: true, compact_revision: String(this.#compacted) } });
    } else {
      const past = this.#history.filter(({ revision, key }) =>
        revision >= BigInt(start_revision) && inRange(key, watcher.key, watcher.end)
      );
      if (past.length > 0) stream.say({ result: { header: this.#header, events: past.map(({ event }) => event) } });
      this.#watchers.add(watcher);
    }
    stream.ended = () => this.#watchers.delete(watcher);
    whenAborted(signal, (reason) => stream.fail(reason));
    return { status: 200, contentType: "application/json", body: stream };
  }

  #put(key: string, value: string, lease: bigint): void {
    const before = this.#keys.get(key);
    this.revision++;
    this.#keys.set(key, {
      value,
      lease,
      created: before?.created ?? this.revision,
      changed: this.revision,
      version: (before?.version ?? 0n) + 1n,
    });
    this.#tell([{ key, event: { kv: this.#describe(key) } }]);
  }

  #delete(keys: readonly string[]): number {
    const gone = keys.filter((key) => this.#keys.delete(key));
    if (gone.length === 0) return 0;
    this.revision++;
    const revision = String(this.revision);
    this.#tell(
      gone.map((key) => ({ key, event: { type: "DELETE", kv: { key: encode(key), mod_revision: revision } } })),
    );
    return gone.length;
  }

  #tell(events: readonly { readonly key: string; readonly event: object }[]): void {
    for (const each of events) this.#history.push({ revision: this.revision, ...each });
    for (const { key, end, stream } of this.#watchers) {
      const seen = events.filter((each) => inRange(each.key, key, end)).map(({ event }) => event);
      if (seen.length > 0) stream.say({ result: { header: this.#header, events: seen } });
    }
  }

  #describe(key: string): object {
    const { value, lease, created, changed, version } = this.#keys.get(key)!;
    return {
      key: encode(key),
      create_revision: String(created),
      mod_revision: String(changed),
      version: String(version),
      value: encode(value),
      ...(lease === 0n ? {} : { lease: String(lease) }),
    };
  }

  get #header(): object {
    return { cluster_id: "10144879847569953045", revision: String(this.revision), raft_term: "2" };
  }

  #ok(body: object = {}, hasHeader = true): HttpAnswer {
    const text = JSON.stringify(hasHeader ? { header: this.#header, ...body } : body);
    return { status: 200, contentType: "application/json", body: once(text) };
  }
}

function failure(status: number, code: number, message: string): HttpAnswer {
  return { status, contentType: "application/json", body: once(JSON.stringify({ error: message, code, message })) };
}

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(Buffer.from(text));
}

function inRange(key: string, from: string, to: string): boolean {
  return to === "" ? key === from : key >= from && key < to;
}

function encode(text: string): string {
  return Buffer.from(text).toString("base64");
}

function decode(base64: string): string {
  return Buffer.from(base64, "base64").toString();
}
