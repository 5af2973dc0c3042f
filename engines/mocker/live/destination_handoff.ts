/**
 * A prompt that another worker computes and that decodes here.
 *
 * @module
 */
import { DestinationSession, type DestinationSteps } from "../bootstrap/destination_session.ts";
import type { Message } from "../bootstrap/message.ts";
import { Alarm } from "./alarm.ts";
import type { BootstrapNet } from "./bootstrap_net.ts";
import { FrameLink } from "./frame_link.ts";
import type { LiveGroup } from "./live_group.ts";
import type { LiveRequest } from "./live_request.ts";
import { RENDEZVOUS_MS } from "./source_desk.ts";
import type { Handoff, HandoffParts, HandoffTerms } from "./source_handoff.ts";

/** Where a prefill worker is, as a request says. */
export interface MeetingPlace {
  /** Its address. */
  readonly bootstrap_host: string;
  /** Its port. */
  readonly bootstrap_port: number;
}

/** The decode worker's hand-over of one request. */
export class DestinationHandoff implements Handoff, DestinationSteps {
  readonly #terms: HandoffTerms;
  readonly #place: MeetingPlace;
  readonly #net: BootstrapNet;
  readonly #group: LiveGroup;
  readonly #live: LiveRequest;
  readonly #left: () => void;
  readonly #deadline: Alarm;
  readonly #session: DestinationSession;
  #link: FrameLink | undefined;
  #beganAt = 0;

  /** Prepares one. @param place Where the prefill worker is. */
  constructor(terms: HandoffTerms, place: MeetingPlace, net: BootstrapNet, { group, live, left }: HandoffParts) {
    this.#terms = terms;
    this.#place = place;
    this.#net = net;
    this.#group = group;
    this.#live = live;
    this.#left = left;
    this.#deadline = new Alarm(live.clock);
    this.#session = new DestinationSession(terms.identity.handoff_id, this);
    live.onHandoff = (event) => {
      if (event.kind === "destination_reserved") this.#session.reserved(event.missingTokens);
    };
  }

  begin(): void {
    const { clock, rank } = this.#live;
    const { bootstrap_host: host, bootstrap_port: port } = this.#place;
    const { identity, order, engineType } = this.#terms;
    const why = `the prefill worker at ${host}:${port} does not answer`;
    this.#deadline.set(clock.now() + RENDEZVOUS_MS, () => this.#session.fail(why));
    this.#link = new FrameLink((listener) => this.#net.dial(host, port, listener), this.#session, identity);
    this.send({ Register: { role: "Destination", dp_rank: rank, order, engine_type: engineType } });
  }

  end(): void {
    if (!this.#session.isActive) this.abort();
  }

  abort(): void {
    this.#session.fail("the decode request has ended");
  }

  send(message: Message): void {
    this.#link?.send(message);
  }

  registered(): void {
    this.#beganAt = this.#live.clock.now();
    this.extend(0);
  }

  extend(ms: number): void {
    const time = this.#beganAt + this.#terms.timeoutMs + ms;
    this.#deadline.set(time, () => this.#session.fail("the hand-over takes too long"));
  }

  reserve(): string | undefined {
    try {
      this.#group.reserve(this.#live);
      return undefined;
    } catch (error) {
      if (error instanceof RangeError) return error.message;
      throw error;
    }
  }

  activate(): void {
    this.#group.activate(this.#live, () => this.#session.activated());
  }

  withdraw(): void {
    this.#group.release(this.#live);
  }

  over(failure: string | undefined): void {
    this.#deadline.clear();
    this.#link?.close();
    if (failure !== undefined) this.#group.release(this.#live);
    this.#left();
    this.#live.handedOver(failure);
  }
}
