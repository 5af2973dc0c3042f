/**
 * One connection: greeting, handshake, heartbeats, messages in and out.
 *
 * @module
 */
import type { Clock, Conn, ConnHandlers } from "../platform/platform.ts";
import { type Command, decodeCommand, encodeCommand, type Metadata } from "./command.ts";
import { ZmtpError } from "./error.ts";
import { FrameDecoder } from "./frame.ts";
import { agreeOn, encodeGreeting, GreetingDecoder } from "./greeting.ts";
import { Heartbeat, type HeartbeatOptions } from "./heartbeat.ts";
import type { HighWaterMark, Limits } from "./limits.ts";
import { MessageAssembler } from "./message_assembler.ts";
import { Outbox } from "./outbox.ts";
import { partnerFault, type SocketType } from "./socket_type.ts";
import { encodeSubscriptionMessage, type SubscriptionChange } from "./subscriptions.ts";

/** What a socket does with a peer that is ready. */
export interface PeerHandlers {
  /** Called next. What it throws ends the connection. */
  begin?(): void;
  /** A message arrived. Its parts are valid during the call only. What it throws ends the connection. */
  message(parts: readonly Uint8Array[]): void;
  /** The peer changed a subscription by a command. Like a message otherwise. */
  subscription?(change: SubscriptionChange): void;
  /** The connection is gone. */
  closed(): void;
}

/** What all connections of a socket share. */
export interface ConnectionSettings {
  /** Time and timers. */
  readonly clock: Clock;
  /** Bounds. */
  readonly limits: Limits;
  /** Bound of what waits to be sent. */
  readonly highWaterMark: HighWaterMark;
  /** Our kind. */
  readonly socketType: SocketType;
  /** Our name, for a ROUTER; empty lets it choose one. */
  readonly identity?: Uint8Array;
  /** PINGs of our own. */
  readonly heartbeat?: HeartbeatOptions;
  /** Longest frame a ready peer may send. @unit bytes */
  readonly maxFrameBytes: number;
  /** Called when a peer is ready. */
  readonly ready: (peer: Connection) => PeerHandlers;
}

const NO_CONTEXT = new Uint8Array(0);

/** A peer, from the first byte to the last. */
export class Connection implements ConnHandlers {
  /** Minor version spoken. */
  minor = 0;
  readonly #settings: ConnectionSettings;
  readonly #onClosed: (error: Error | undefined) => void;
  #conn: Conn | null = null;
  #outbox: Outbox | null = null;
  readonly #greeting = new GreetingDecoder();
  readonly #frames: FrameDecoder;
  readonly #assembler: MessageAssembler;
  readonly #heartbeat: Heartbeat;
  #handlers: PeerHandlers | null = null;
  #handshakeTimer: Disposable | null = null;
  #fault: Error | undefined;
  /** Nothing that arrives is looked at any more. */
  #isOver = false;

  /** Makes one that is not connected yet. `onClosed` is called once it was {@linkcode attach}ed and is gone again. */
  constructor(settings: ConnectionSettings, onClosed: (error: Error | undefined) => void) {
    this.#settings = settings;
    this.#onClosed = onClosed;
    this.#frames = new FrameDecoder(settings.limits.maxMetadataBytes);
    this.#assembler = new MessageAssembler(settings.limits);
    this.#heartbeat = new Heartbeat(settings.clock, (silentMs) => {
      this.fail(new ZmtpError("timeout", `The peer was silent for ${Math.round(silentMs)} ms`));
    });
  }

  /** Begins to talk. */
  attach(conn: Conn): void {
    const { clock, limits, highWaterMark } = this.#settings;
    this.#conn = conn;
    this.#outbox = new Outbox(conn, clock, highWaterMark);
    this.#handshakeTimer = clock.timer(limits.handshakeTimeoutMs, () => {
      this.fail(new ZmtpError("timeout", `The peer was not ready within ${limits.handshakeTimeoutMs} ms`));
    });
    conn.write(encodeGreeting());
  }

  /** The peer's address. */
  get remote(): string {
    return this.#conn?.remote ?? "";
  }

  /** What waits to be sent, which must not be asked for before the peer is ready. */
  get outbox(): Outbox {
    return this.#outbox!;
  }

  /** Tells the peer, if it is a publisher, what we want; in the form that its version has. */
  sendSubscription(change: SubscriptionChange): void {
    const { topic, isWanted } = change;
    const name = isWanted ? "SUBSCRIBE" : "CANCEL";
    this.outbox.addCommand(this.minor > 0 ? encodeCommand({ name, topic }) : encodeSubscriptionMessage(change));
  }

  /** Stops or resumes reading. */
  setReading(reading: boolean): void {
    this.#conn?.setReading(reading);
  }

  /** Drops the connection now, and what waits with it. */
  fail(error?: Error): void {
    this.#fault ??= error;
    this.#isOver = true;
    this.#conn?.destroy();
  }

  /** Sends what waits, then closes; a connection that is not ready is dropped. */
  close(): void {
    if (this.#handlers === null) return this.fail();
    this.#isOver = true;
    // Else the peer's end would go unnoticed.
    this.setReading(true);
    this.outbox.end();
  }

  /** @inheritDoc */
  data(bytes: Uint8Array): void {
    if (this.#isOver) return;
    this.#heartbeat.heard();
    try {
      const greeted = this.#greeting.isWhole ? 0 : this.#pushGreeting(bytes);
      this.#frames.push(greeted === 0 ? bytes : bytes.subarray(greeted), this.#takeFrame);
      this.#assembler.keep();
    } catch (error) {
      this.#refuse(error as Error);
    }
  }

  /** @inheritDoc */
  end(): void {
    // Nothing can be asked of a peer that will not speak again. While we close, what it may still read goes out first.
    if (!this.#isOver) this.fail();
  }

  /** @inheritDoc */
  drain(): void {
    this.#outbox?.drain();
  }

  /** @inheritDoc */
  closed(error?: Error): void {
    this.#isOver = true;
    this.#handshakeTimer?.[Symbol.dispose]();
    this.#heartbeat[Symbol.dispose]();
    this.#handlers?.closed();
    this.#onClosed(this.#fault ?? error);
  }

  /** Takes bytes of the greeting; once it is whole, answers with READY. Returns how many bytes it took. */
  #pushGreeting(bytes: Uint8Array): number {
    const count = this.#greeting.push(bytes);
    const { greeting } = this.#greeting;
    if (greeting === null) return count;
    this.minor = agreeOn(greeting).minor;
    const { socketType, identity } = this.#settings;
    const metadata = new Map<string, Uint8Array>([["Socket-Type", new TextEncoder().encode(socketType)]]);
    if (identity !== undefined) metadata.set("Identity", identity);
    this.outbox.addCommand(encodeCommand({ name: "READY", metadata }));
    return count;
  }

  readonly #takeFrame = (body: Uint8Array, isCommand: boolean, hasMore: boolean): void => {
    if (this.#isOver) return;
    if (isCommand) return this.#takeCommand(decodeCommand(body));
    if (this.#handlers === null) throw new ZmtpError("protocol", "The peer sent a message before it was ready");
    const parts = this.#assembler.add(body, hasMore);
    if (parts !== null) this.#handlers.message(parts);
  };

  #takeCommand(command: Command): void {
    switch (command.name) {
      case "READY":
        return this.#becomeReady(command.metadata);
      case "ERROR":
        throw new ZmtpError("refused", `The peer refused the connection: ${command.reason || "no reason given"}`);
      case "PING":
        this.#heartbeat.setTtl(command.ttlMs);
        return this.outbox.answer(encodeCommand({ name: "PONG", context: command.context }));
      case "SUBSCRIBE":
      case "CANCEL":
        return this.#handlers?.subscription?.({ topic: command.topic, isWanted: command.name === "SUBSCRIBE" });
      case "PONG":
      case "unknown":
        return;
    }
  }

  #becomeReady(metadata: Metadata): void {
    if (this.#handlers !== null) throw new ZmtpError("protocol", "The peer sent READY twice");
    const { heartbeat, socketType, ready, maxFrameBytes } = this.#settings;
    const type = new TextDecoder().decode(metadata.get("socket-type"));
    const fault = partnerFault(socketType, type);
    if (fault !== null) throw new ZmtpError("protocol", fault);
    this.#frames.maxFrameBytes = maxFrameBytes;
    this.#handshakeTimer?.[Symbol.dispose]();
    this.#handshakeTimer = null;
    if (heartbeat !== undefined && this.minor > 0) this.#startHeartbeat(heartbeat);
    this.#handlers = ready(this);
    this.#handlers.begin?.();
  }

  #startHeartbeat(heartbeat: HeartbeatOptions): void {
    const ping = encodeCommand({ name: "PING", ttlMs: heartbeat.ttlMs ?? 0, context: NO_CONTEXT });
    this.#heartbeat.start(heartbeat, () => this.outbox.answer(ping));
  }

  /** Tells a peer that greeted us why it cannot be, and closes; the timer of the handshake sees to the end of it. */
  #refuse(error: Error): void {
    const isTold = this.#handshakeTimer !== null && this.#greeting.isWhole &&
      error instanceof ZmtpError && error.kind !== "refused";
    if (!isTold) return this.fail(error);
    this.#fault = error;
    this.#isOver = true;
    const reason = error.message.replace(/[^ -~]/g, "?").slice(0, 255);
    this.outbox.addCommand(encodeCommand({ name: "ERROR", reason }));
    this.outbox.end();
  }
}
