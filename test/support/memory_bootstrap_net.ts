/**
 * Connections between mock workers in memory, and the time that goes with them.
 *
 * @module
 */
import type { EngineClock } from "@stator/worker";
import type { BootstrapNet, Link, LinkListener, LinkListening } from "../../engines/mocker/live/bootstrap_net.ts";
import { createEngineClock } from "../../src/pipeline/engine_clock.ts";
import { VirtualClock } from "../../src/testing/virtual_clock.ts";
import { FakeClock } from "./fake_clock.ts";

/** A network that knows what is still open in it. Bytes arrive in the same turn, in order. */
export class MemoryBootstrapNet implements BootstrapNet {
  /** Virtual time, for engines on this network. */
  readonly clock: EngineClock;
  /** Ends of connections that nobody has closed, sockets that listen, and alarms that are set. */
  open = 0;
  readonly #time = new VirtualClock(new FakeClock());
  readonly #listening = new Map<number, (link: Link) => LinkListener>();
  #ports = 9000;

  constructor() {
    const clock = createEngineClock(this.#time);
    this.clock = {
      now: () => clock.now(),
      nextTurn: () => clock.nextTurn(),
      sleepUntil: (time, signal) => {
        this.open++;
        return clock.sleepUntil(time, signal).then(() => void this.open--);
      },
    };
  }

  ownAddress(): string {
    return "10.0.0.1";
  }

  listen(port: number, accept: (link: Link) => LinkListener): Promise<LinkListening> {
    const given = port === 0 ? this.#ports++ : port;
    if (this.#listening.has(given)) return Promise.reject(new Error(`port ${given} is taken`));
    this.#listening.set(given, accept);
    this.open++;
    const close = () => {
      if (this.#listening.delete(given)) this.open--;
      return Promise.resolve();
    };
    return Promise.resolve({ port: given, close });
  }

  dial(_host: string, port: number, listener: LinkListener): Link {
    const near = new MemoryLink(this);
    near.listener = listener;
    const accept = this.#listening.get(port);
    if (accept === undefined) {
      queueMicrotask(() => near.hangUp("connection refused"));
      return near;
    }
    const far = new MemoryLink(this);
    near.other = far;
    far.other = near;
    far.listener = accept(far);
    return near;
  }

  after(ms: number, ring: () => void): () => void {
    this.open++;
    let isSet = true;
    const unset = () => {
      if (isSet) this.open--;
      isSet = false;
    };
    const timer = this.#time.timer(ms, () => {
      unset();
      ring();
    });
    return () => {
      unset();
      timer[Symbol.dispose]();
    };
  }
}

class MemoryLink implements Link {
  listener!: LinkListener;
  other: MemoryLink | undefined;
  readonly #net: MemoryBootstrapNet;
  #isOpen = true;

  constructor(net: MemoryBootstrapNet) {
    this.#net = net;
    net.open++;
  }

  send(bytes: Uint8Array): void {
    const sent = bytes.slice();
    const { other } = this;
    queueMicrotask(() => {
      if (other !== undefined && other.#isOpen) other.listener.data(sent);
    });
  }

  close(): void {
    if (!this.#shut()) return;
    queueMicrotask(() => this.other?.hangUp("hung up"));
  }

  hangUp(why: string): void {
    if (this.#shut()) this.listener.lost(why);
  }

  #shut(): boolean {
    if (!this.#isOpen) return false;
    this.#isOpen = false;
    this.#net.open--;
    return true;
  }
}
