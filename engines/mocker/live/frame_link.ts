/**
 * A connection as a session sees it: messages of one identity.
 *
 * @module
 */
import { encodeFrame, type Frame, FrameReader, SESSION_HEADER } from "../bootstrap/frame.ts";
import { isSameSession, type Message, type SessionIdentity } from "../bootstrap/message.ts";
import type { Link, LinkListener } from "./bootstrap_net.ts";

/** Who is told what the other side says. */
export interface MessageListener {
  /** A message came. */
  receive(message: Message, identity: SessionIdentity): void;
  /** Nothing more comes: the connection is gone, or what came on it is no session. */
  fail(why: string): void;
}

/** Messages over a connection. All that is said in one turn leaves in one write, since the peer's waits for answers. */
export class FrameLink implements LinkListener {
  /** Who is told. */
  listener: MessageListener;
  readonly #link: Link;
  readonly #reader: FrameReader;
  readonly #other: string;
  #identity: SessionIdentity | undefined;
  #pending: Uint8Array[] = [];
  #isClosed = false;

  /**
   * Makes one.
   *
   * @param connect Gives the connection.
   * @param dialled The session it is made for; a connection that came says so itself.
   */
  constructor(connect: (listener: LinkListener) => Link, listener: MessageListener, dialled?: SessionIdentity) {
    this.listener = listener;
    this.#identity = dialled;
    this.#reader = new FrameReader(dialled === undefined);
    this.#other = dialled === undefined ? "decode" : "prefill";
    this.#link = connect(this);
    if (dialled !== undefined) this.#write(SESSION_HEADER);
  }

  /** Says something; lost if the connection is gone, or nobody is known there. */
  send(message: Message): void {
    if (this.#isClosed || this.#identity === undefined) return;
    this.#write(encodeFrame(this.#identity, message));
  }

  /** Ends the connection after what was said. */
  close(): void {
    if (this.#isClosed) return;
    this.#flush();
    this.#isClosed = true;
    this.#link.close();
  }

  data(bytes: Uint8Array): void {
    for (const { identity, message } of this.#read(bytes)) {
      if (this.#isClosed) return;
      this.#identity ??= identity;
      if (!isSameSession(identity, this.#identity)) return this.#fail("sent a frame of another session");
      this.listener.receive(message, identity);
    }
  }

  lost(why: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#fail(`is gone: ${why}`);
  }

  #read(bytes: Uint8Array): Frame[] {
    try {
      return this.#reader.push(bytes);
    } catch (error) {
      this.#fail(`sent ${error instanceof Error ? error.message : String(error)}`);
      return [];
    }
  }

  #fail(why: string): void {
    this.listener.fail(`the ${this.#other} worker ${why}`);
  }

  #write(bytes: Uint8Array): void {
    if (this.#pending.push(bytes) === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    const pending = this.#pending;
    this.#pending = [];
    if (this.#isClosed || pending.length === 0) return;
    const joined = new Uint8Array(pending.reduce((sum, { length }) => sum + length, 0));
    let place = 0;
    for (const bytes of pending) {
      joined.set(bytes, place);
      place += bytes.length;
    }
    this.#link.send(joined);
  }
}
