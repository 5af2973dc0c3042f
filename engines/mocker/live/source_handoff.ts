/**
 * A prompt that is computed here and goes to another worker.
 *
 * @module
 */
import type { HandoffOrder, Message, SessionIdentity } from "../bootstrap/message.ts";
import { SourceSession, type SourceSteps } from "../bootstrap/source_session.ts";
import type { TransferTiming } from "../handoff.ts";
import type { Backend } from "../args.ts";
import { Alarm } from "./alarm.ts";
import type { FrameLink } from "./frame_link.ts";
import type { LiveGroup } from "./live_group.ts";
import type { LiveRequest } from "./live_request.ts";
import { RENDEZVOUS_MS, type SourceDesk, type SourceParticipant } from "./source_desk.ts";

/** What both halves of a hand-over agree on. */
export interface HandoffTerms {
  /** Which one. */
  readonly identity: SessionIdentity;
  /** The order of its steps. */
  readonly order: HandoffOrder;
  /** Whose scheduling is imitated. */
  readonly engineType: Backend;
  /** How long a session may last beside the transfer. @unit milliseconds */
  readonly timeoutMs: number;
}

/** What a hand-over moves, and who is told. */
export interface HandoffParts {
  /** The schedulers. */
  readonly group: LiveGroup;
  /** The request. */
  readonly live: LiveRequest;
  /** Called once, at the end of the hand-over. */
  left(): void;
}

/** A hand-over as the stream of its request sees it; how it ends is told to the request. */
export interface Handoff {
  /** Goes to the other worker, or waits for it. */
  begin(): void;
  /** The stream ends. The hand-over ends with it, unless the prompt has arrived and only the other side is not done. */
  end(): void;
  /** Ends the hand-over, whatever is left of it. */
  abort(): void;
}

/** The prefill worker's hand-over of one request. */
export class SourceHandoff implements Handoff, SourceParticipant, SourceSteps {
  readonly identity: SessionIdentity;
  readonly order: HandoffOrder;
  readonly engineType: Backend;
  readonly #timeoutMs: number;
  readonly #timing: TransferTiming;
  readonly #group: LiveGroup;
  readonly #live: LiveRequest;
  readonly #desk: SourceDesk;
  readonly #left: () => void;
  readonly #deadline: Alarm;
  readonly #arrival: Alarm;
  readonly #session: SourceSession;
  #link: FrameLink | undefined;
  #beganAt = 0;
  #holdsPlace = false;
  #isOver = false;

  /** Prepares one. @param desk Where decode workers come to. */
  constructor(terms: HandoffTerms, timing: TransferTiming, desk: SourceDesk, { group, live, left }: HandoffParts) {
    this.identity = terms.identity;
    this.order = terms.order;
    this.engineType = terms.engineType;
    this.#timeoutMs = terms.timeoutMs;
    this.#timing = timing;
    this.#group = group;
    this.#live = live;
    this.#desk = desk;
    this.#left = left;
    this.#deadline = new Alarm(live.clock);
    this.#arrival = new Alarm(live.clock);
    this.#session = new SourceSession(terms.identity.handoff_id, terms.order, this);
    live.onHandoff = ({ kind }) => {
      if (kind === "source_held") this.#session.sourceHeld(this.#timing);
    };
  }

  begin(): void {
    const { clock } = this.#live;
    this.#deadline.set(clock.now() + RENDEZVOUS_MS, () => this.over("no decode worker came for this hand-over"));
    this.#holdsPlace = true;
    this.#desk.add(this);
  }

  meet(link: FrameLink): void {
    this.#link = link;
    this.#beganAt = this.#live.clock.now();
    link.listener = this.#session;
    this.extend(0);
    this.#session.begin();
  }

  refuse(why: string): void {
    this.#holdsPlace = false;
    this.over(why);
  }

  end(): void {
    this.abort();
  }

  abort(): void {
    if (this.#link === undefined) this.over("the prefill request has ended");
    else this.#session.fail("the prefill request has ended");
  }

  send(message: Message): void {
    this.#link?.send(message);
  }

  submit(): void {
    this.#group.submit(this.#live, true);
  }

  transfer(delayMs: number): void {
    if (delayMs <= 0) return this.#session.transferred();
    this.#arrival.set(this.#live.clock.now() + delayMs, () => this.#session.transferred());
  }

  extend(ms: number): void {
    this.#deadline.set(this.#beganAt + this.#timeoutMs + ms, () => this.#session.fail("the hand-over takes too long"));
  }

  release(): void {
    this.#group.releaseSource(this.#live, () => this.#session.released());
  }

  over(failure: string | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#deadline.clear();
    this.#arrival.clear();
    this.#link?.close();
    if (this.#holdsPlace) this.#desk.retire(this.identity.handoff_id);
    if (failure !== undefined) this.#group.release(this.#live);
    this.#left();
    this.#live.handedOver(failure);
  }
}
