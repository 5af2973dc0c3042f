/**
 * A frontend of a simulated world: finds workers, sends requests, takes calls home.
 *
 * @module
 */
import type { Discovery } from "../../discovery/discovery.ts";
import type { Clock, Conn, ConnHandlers, Listener, Net } from "../../platform/platform.ts";
import { formatAddress, parseAddress } from "../../protocol/address.ts";
import { encodeRequestHead } from "../../protocol/control.ts";
import { AckParser, encodeRequestFrame, encodeTwoPart } from "../../protocol/frame.ts";
import { decodeText, encodeMsgpack, encodeText, stringifyJson } from "../../protocol/payload.ts";
import { isRecoveryEndpoint } from "../../protocol/kv_recovery.ts";
import { decodeInstance } from "../../protocol/record.ts";
import { AnswerReader } from "./answer_reader.ts";
import type { History } from "./history.ts";
import type { RequestPlan } from "./life_plan.ts";
import { isRecoveryPath } from "./simulated_store.ts";

/** What a frontend is made of. */
export interface FrontendParts {
  /** Its name in the history. */
  readonly name: string;
  /** Its address. */
  readonly host: string;
  /** TCP of its host. */
  readonly net: Net;
  /** Breaks a connection. */
  readonly reset: (conn: Conn) => void;
  /** Time. */
  readonly clock: Clock;
  /** Time until it knows that a worker has left. @unit milliseconds */
  readonly newsMs: number;
  /** Where it finds workers. */
  readonly discovery: Discovery;
  /** Where it says what it saw. */
  readonly history: History;
}

/** A port nobody listens on. */
const DEAD_PORT = 9;
/** A host nobody is at. */
const NO_HOST = "10.255.255.1";
const MAX_FRAME_BYTES = 1 << 20;

/** Requests on one connection, whose acknowledgements come in their order. */
interface Link {
  readonly conn: Promise<Conn | null>;
  readonly unacked: string[];
}

/** A frontend. Its clients do what their plans say. */
export class SimulatedFrontend {
  readonly #parts: FrontendParts;
  readonly #plans = new Map<string, RequestPlan>();
  readonly #links = new Map<string, Link>();
  /** Where the workers that are there take requests, by key. */
  readonly #workers = new Map<string, string>();
  readonly #conns = new Set<Conn>();
  #listener: Listener | null = null;
  #isGone = false;

  /** Makes a frontend that has not opened anything. */
  constructor(parts: FrontendParts) {
    this.#parts = parts;
  }

  /** Watches discovery and listens for calls home. */
  async open(): Promise<void> {
    const { net, host, discovery, clock, newsMs } = this.#parts;
    this.#listener = await net.listen({ host, port: 0 }, (conn) => this.#answer(conn));
    await discovery.watch("v1/instances", (event) => {
      const { path } = event.key;
      if (isRecoveryPath(path)) return;
      // News of a deletion take their time; until then requests go on to be sent there.
      if (event.kind === "delete") return void clock.timer(newsMs, () => this.#workers.delete(path));
      const { transport, endpoint } = decodeInstance(event.value);
      if ("tcp" in transport && !isRecoveryEndpoint(endpoint)) this.#workers.set(path, transport.tcp);
    });
  }

  /** Sends a request to a worker, if it knows one. */
  send(plan: RequestPlan): void {
    if (this.#isGone) return;
    const [worker] = this.#workers.values();
    if (worker === undefined) return this.#note("not sent", plan.id);
    this.#plans.set(plan.id, plan);
    this.#note("sent", plan.id, `${plan.client.kind}, ${plan.stream.kind}`);
    const slash = worker.indexOf("/");
    const link = this.#linkTo(worker.slice(0, slash));
    const frame = this.#frame(plan, worker.slice(slash + 1));
    link.unacked.push(plan.id);
    link.conn.then((conn) => {
      conn?.write(frame);
      if (plan.client.kind !== "drop_link" || conn === null) return;
      this.#note("does", plan.id, "drop_link");
      this.#parts.clock.timer(plan.client.ms / 20, () => conn.destroy());
    });
  }

  /** Stops doing anything: its process is gone. */
  vanish(): void {
    this.#isGone = true;
  }

  /** Ends: everything it still has is closed. */
  async close(): Promise<void> {
    const { discovery } = this.#parts;
    this.#isGone = true;
    await this.#listener?.[Symbol.asyncDispose]();
    for (const conn of this.#conns) conn.destroy();
    await discovery[Symbol.asyncDispose]();
  }

  #note(what: Parameters<History["add"]>[1], id: string, detail?: string): void {
    if (this.#isGone) return;
    this.#parts.history.add(this.#parts.name, what, { id, ...(detail === undefined ? {} : { detail }) });
  }

  #linkTo(authority: string): Link {
    const known = this.#links.get(authority);
    if (known !== undefined) return known;
    const unacked: string[] = [];
    const acks = new AckParser(MAX_FRAME_BYTES);
    const close = (): void => {
      this.#links.delete(authority);
      for (const id of unacked.splice(0)) this.#note("unanswered", id);
    };
    const handlers: ConnHandlers = {
      data: (bytes) =>
        acks.push(bytes, (text) => {
          const id = unacked.shift() ?? "";
          if (text.length === 0) this.#note("accepted", id);
          else this.#note("refused", id, decodeText(text));
        }),
      closed: close,
    };
    const conn = this.#parts.net.dial(parseAddress(authority), handlers).then((conn) => {
      this.#conns.add(conn);
      return conn;
    }, () => {
      close();
      return null;
    });
    const link = { conn, unacked };
    this.#links.set(authority, link);
    return link;
  }

  #frame({ id, codec, prompt, maxTokens, client }: RequestPlan, path: string): Uint8Array {
    const { port } = this.#listener!.address;
    const address = client.kind === "black_hole"
      ? formatAddress(NO_HOST, port)
      : formatAddress(this.#parts.host, client.kind === "refuse" ? DEAD_PORT : port);
    const body = {
      model: "simulated",
      token_ids: prompt,
      stop_conditions: maxTokens === null ? {} : { max_tokens: maxTokens },
      sampling_options: {},
      output_options: {},
    };
    const head = encodeRequestHead({ id, codec, callHome: { address, subject: id }, metadata: {} });
    return encodeRequestFrame({
      path: encodeText(path),
      headers: encodeText(JSON.stringify({ "x-endpoint-path": path, "request-id": id })),
      payload: encodeTwoPart(head, codec === "msgpack" ? encodeMsgpack(body) : encodeText(stringifyJson(body))),
    });
  }

  #answer(conn: Conn): ConnHandlers {
    if (this.#isGone) {
      conn.destroy();
      return { data() {}, closed() {} };
    }
    this.#conns.add(conn);
    return new AnswerReader({
      conn,
      reset: () => this.#parts.reset(conn),
      clock: this.#parts.clock,
      planOf: (id) => this.#plans.get(id),
      note: (what, facts) => this.#isGone || this.#parts.history.add(this.#parts.name, what, facts),
      onClosed: () => this.#conns.delete(conn),
    });
  }
}
