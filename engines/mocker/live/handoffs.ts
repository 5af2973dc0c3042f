/**
 * Hand-overs of prompts between workers that meet before the prompt is computed.
 *
 * @module
 */
import {
  DynamoError,
  type EngineConfig,
  type GenerateContext,
  type GenerateRequest,
  invalidArgument,
} from "@stator/worker";
import { normalizedUuid } from "../bootstrap/frame.ts";
import { handoffOrder } from "../bootstrap/message.ts";
import { transferTiming } from "../handoff.ts";
import type { BootstrapNet } from "./bootstrap_net.ts";
import { DestinationHandoff } from "./destination_handoff.ts";
import type { LiveGroup } from "./live_group.ts";
import type { LiveRequest } from "./live_request.ts";
import type { MockerSettings } from "./settings.ts";
import { SourceDesk } from "./source_desk.ts";
import { type Handoff, type HandoffTerms, SourceHandoff } from "./source_handoff.ts";

type BootstrapInfo = NonNullable<GenerateRequest["bootstrap_info"]>;

/** All hand-overs of a worker. */
export class Handoffs {
  readonly #settings: MockerSettings;
  readonly #group: LiveGroup;
  readonly #net: BootstrapNet;
  readonly #desk: SourceDesk;
  /** Most hand-overs of a rank. */
  readonly #limit: number;
  /** Those that are not over, by rank. */
  readonly #open: readonly Set<Handoff>[];

  /** Prepares for them. */
  constructor(settings: MockerSettings, group: LiveGroup, net: BootstrapNet) {
    this.#settings = settings;
    this.#group = group;
    this.#net = net;
    const { dp_size, engine: { max_num_seqs, num_gpu_blocks } } = settings.launch;
    this.#limit = max_num_seqs ?? num_gpu_blocks;
    this.#open = Array.from({ length: dp_size }, () => new Set<Handoff>());
    this.#desk = new SourceDesk(net, this.#limit * dp_size);
  }

  /** Hand-overs that are not over. */
  get size(): number {
    return this.#open.reduce((sum, open) => sum + open.size, 0);
  }

  /** Listens for decode workers, if this is a prefill worker with a port. @throws {Error} If it cannot be had. */
  async start(): Promise<Pick<EngineConfig, "bootstrapHost" | "bootstrapPort">> {
    const { launch: { engine, dynamo }, bootstrapHost } = this.#settings;
    if (engine.worker_type !== "prefill" || dynamo.bootstrap_port === null) return {};
    const bootstrapPort = await this.#listen(dynamo.bootstrap_port);
    return { bootstrapHost: bootstrapHost ?? this.#net.ownAddress(), bootstrapPort };
  }

  /**
   * Begins the hand-over of a request that no scheduler knows yet; `undefined` if its frontend asks for none.
   *
   * @throws {DynamoError} `InvalidArgument` if this worker cannot do what is asked for, `CannotConnect` if its rank has
   *   as many hand-overs as it may.
   */
  begin(live: LiveRequest, request: GenerateRequest, ctx: GenerateContext): Handoff | undefined {
    const info = request.bootstrap_info ?? undefined;
    if (info === undefined) return undefined;
    const terms = this.#terms(info, ctx);
    const open = this.#open[live.rank]!;
    if (open.size >= this.#limit) {
      throw new DynamoError("CannotConnect", `rank ${live.rank} has ${this.#limit} hand-overs, which is its limit`);
    }
    const { engine } = this.#settings.launch;
    const parts = { group: this.#group, live, left: () => void open.delete(handoff) };
    const handoff = engine.worker_type === "prefill"
      ? new SourceHandoff(terms, transferTiming(engine, request.token_ids.length), this.#desk, parts)
      : new DestinationHandoff(terms, info, this.#net, parts);
    open.add(handoff);
    handoff.begin();
    return handoff;
  }

  /** Ends all hand-overs and takes no decode workers any more. */
  async close(): Promise<void> {
    for (const handoff of this.#open.flatMap((open) => [...open])) handoff.abort();
    await this.#desk.close();
  }

  async #listen(port: number): Promise<number> {
    try {
      return await this.#desk.listen(port);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`Cannot listen for decode workers on port ${port} (--bootstrap-ports): ${why}`, { cause });
    }
  }

  #terms(info: BootstrapInfo, { id }: GenerateContext): HandoffTerms {
    const { engine: { worker_type, backend }, dynamo } = this.#settings.launch;
    const where = `${info.bootstrap_host}:${info.bootstrap_port}`;
    if (worker_type === "aggregated") {
      throw invalidArgument(`an aggregated worker cannot meet another at ${where}: set --disaggregation-mode`);
    }
    if (worker_type === "prefill" && !this.#desk.isListening) {
      throw invalidArgument(`this worker cannot be met at ${where}: start it with --bootstrap-ports`);
    }
    const { bootstrap_host: host, bootstrap_port: port } = info;
    if (typeof host !== "string" || !(Number.isInteger(port) && port > 0 && port <= 0xffff)) {
      throw invalidArgument(`bootstrap_info names no host and port: ${where}`);
    }
    const handoff_id = uuidOf(info.handoff_id);
    if (handoff_id === undefined) throw invalidArgument("bootstrap_info.handoff_id is missing, or not a UUID");
    // Both workers have to come to the same UUID, also where a request has another kind of name.
    const request_id = normalizedUuid(id) ?? handoff_id;
    return {
      identity: { handoff_id, bootstrap_room: info.bootstrap_room, request_id },
      order: handoffOrder(backend),
      engineType: backend,
      timeoutMs: dynamo.handoff_session_timeout_ms,
    };
  }
}

/** A UUID as requests have it: 16 bytes in MessagePack, text in JSON. @source dynamo-llm 1.6.1, `BootstrapInfo` */
function uuidOf(value: unknown): string | undefined {
  if (typeof value === "string") return normalizedUuid(value);
  if (!(value instanceof Uint8Array)) return undefined;
  return normalizedUuid(Array.from(value, (byte) => byte.toString(16).padStart(2, "0")).join(""));
}
