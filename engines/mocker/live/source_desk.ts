/**
 * Where a prefill worker waits for decode workers.
 *
 * @source dynamo-mocker 1.6.1, `services/bootstrap.rs`; dynamo-llm 1.6.1, `mocker/handoff.rs`: who is refused how
 * @module
 */
import { refusal } from "../bootstrap/frame.ts";
import type { Message, SessionIdentity } from "../bootstrap/message.ts";
import { type Participant, Rendezvous } from "../bootstrap/rendezvous.ts";
import type { BootstrapNet, Link, LinkListener, LinkListening } from "./bootstrap_net.ts";
import { FrameLink } from "./frame_link.ts";

/** How long one worker waits for the other. @source dynamo-mocker 1.6.1, `RENDEZVOUS_TIMEOUT` @unit milliseconds */
export const RENDEZVOUS_MS = 30_000;

/** A request that waits for its decode worker. */
export interface SourceParticipant extends Participant {
  /** The decode worker is there; the connection is the request's now. */
  meet(link: FrameLink): void;
  /** None will come. */
  refuse(why: string): void;
}

/** A port for decode workers, and the requests that wait for them. */
export class SourceDesk {
  readonly #net: BootstrapNet;
  readonly #limit: number;
  readonly #rendezvous: Rendezvous<SourceParticipant, Visitor>;
  readonly #visitors = new Set<Visitor>();
  #listening: LinkListening | undefined;
  #isClosed = false;

  /** Makes one that does not listen yet. @param limit Sessions at a time. */
  constructor(net: BootstrapNet, limit: number) {
    this.#net = net;
    this.#limit = limit;
    this.#rendezvous = new Rendezvous(limit);
  }

  /** Begins to listen. @returns The port. @throws {Error} If the port cannot be had. */
  async listen(port: number): Promise<number> {
    this.#listening = await this.#net.listen(port, (link) => this.#accept(link));
    return this.#listening.port;
  }

  /** Whether decode workers can come. */
  get isListening(): boolean {
    return this.#listening !== undefined;
  }

  /** A request waits from now on. If it may not, it is refused before this returns. */
  add(source: SourceParticipant): void {
    const arrival = this.#rendezvous.addSource(source);
    if (arrival.kind === "met") {
      this.#visitors.delete(arrival.other);
      source.meet(arrival.other.leave());
    } else if (arrival.kind === "full") source.refuse("there are too many hand-overs");
    else if (arrival.kind === "refused") {
      arrival.other?.refuse(arrival.why);
      source.refuse(arrival.why);
    }
  }

  /** The session of a request that was not refused is over. */
  retire(handoffId: string): void {
    this.#rendezvous.retire(handoffId);
  }

  /** Takes nobody any more; those who wait are told. Sessions end with their requests. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const visitor of this.#visitors) visitor.refuse("the prefill worker ends");
    await this.#listening?.close();
  }

  #accept(link: Link): LinkListener {
    let waiting = 0;
    for (const { isRegistered } of this.#visitors) if (!isRegistered) waiting++;
    const visitor = new Visitor(link, {
      // One more may come to be told that there is no place.
      isCrowded: waiting >= this.#limit,
      after: (ring) => this.#net.after(RENDEZVOUS_MS, ring),
      registered: (registered) => this.#registered(registered),
      left: (gone, joined) => {
        this.#visitors.delete(gone);
        if (joined) this.#rendezvous.retire(gone.identity.handoff_id);
      },
    });
    this.#visitors.add(visitor);
    if (waiting > this.#limit || this.#isClosed) visitor.fail();
    return visitor.frames;
  }

  #registered(visitor: Visitor): void {
    const arrival = this.#rendezvous.addDestination(visitor);
    if (arrival.kind === "met") {
      this.#visitors.delete(visitor);
      arrival.other.meet(visitor.leave());
    } else if (arrival.kind === "waiting") visitor.hasJoined = true;
    else if (arrival.kind === "full") visitor.overload();
    else {
      visitor.refuse(arrival.why);
      arrival.other?.refuse(arrival.why);
    }
  }
}

interface VisitorHost {
  readonly isCrowded: boolean;
  after(ring: () => void): () => void;
  registered(visitor: Visitor): void;
  /** It is gone. @param joined Whether it held a place. */
  left(visitor: Visitor, joined: boolean): void;
}

/** A connection until its request is there. */
class Visitor implements Participant {
  readonly frames: FrameLink;
  /** Whether it holds a place. */
  hasJoined = false;
  identity!: SessionIdentity;
  order!: Participant["order"];
  engineType!: Participant["engineType"];
  isRegistered = false;
  readonly #host: VisitorHost;
  #stopTimer: () => void;

  constructor(link: Link, host: VisitorHost) {
    this.#host = host;
    this.frames = new FrameLink(() => link, this);
    this.#stopTimer = host.after(() => this.fail());
  }

  receive(message: Message, identity: SessionIdentity): void {
    if (this.isRegistered) return this.refuse("a frame before the session has begun");
    if (typeof message === "string" || !("Register" in message)) return this.refuse("the first frame has to register");
    this.isRegistered = true;
    this.identity = identity;
    this.order = message.Register.order;
    this.engineType = message.Register.engine_type;
    if (this.#host.isCrowded) return this.overload();
    this.#stopTimer();
    this.#stopTimer = this.#host.after(() => this.refuse("no request came for this hand-over"));
    this.#host.registered(this);
  }

  /** The connection is gone, or was none. */
  fail(): void {
    this.#end();
    this.frames.close();
  }

  /** There is no place. */
  overload(): void {
    this.frames.send("Overloaded");
    this.fail();
  }

  /** Something is wrong with it. */
  refuse(why: string): void {
    this.frames.send(refusal("ProtocolError", why));
    this.fail();
  }

  /** Hands the connection over to its session. */
  leave(): FrameLink {
    this.#stopTimer();
    return this.frames;
  }

  #end(): void {
    this.#stopTimer();
    this.#host.left(this, this.hasJoined);
    this.hasJoined = false;
  }
}
