/**
 * What a worker is told on its response connections, and what it does there.
 *
 * @module
 */
import type { Conn, ConnHandlers, Net } from "../../platform/platform.ts";
import { decodeFrontendWord, decodeWorkerHeader, SENTINEL } from "../../protocol/control.ts";
import { decodeTwoPart, TWO_PART_PREFIX_BYTES, TwoPartParser } from "../../protocol/frame.ts";
import type { EventKind, History } from "./history.ts";

/** Longest thing a frontend says. @unit bytes */
const MAX_WORD_BYTES = 1024;

/** Watches the connections that a worker dials. An event is in the history before the worker can act on it. */
export class WorkerTap {
  readonly #history: History;
  readonly #open = new Set<ConnectionTap>();

  /** Makes a tap that writes into `history`. */
  constructor(history: History) {
    this.#history = history;
  }

  /** The network of a host whose dialled connections are watched, but for those to itself: they carry no answers. */
  tapped(net: Net, host: string): Net {
    return {
      ...net,
      dial: async (address, handlers, signal) => {
        if (address.host === host) return await net.dial(address, handlers, signal);
        const tap = new ConnectionTap(this.#history, () => this.#open.delete(tap));
        const conn = await net.dial(address, tap.handlers(handlers), signal);
        this.#open.add(tap);
        return tap.conn(conn);
      },
    };
  }

  /** Requests whose response connections are open. */
  get open(): readonly string[] {
    return [...this.#open].map(({ id }) => id);
  }
}

class ConnectionTap {
  /** The request, once the worker has said which. */
  id = "";
  readonly #history: History;
  readonly #onClosed: () => void;
  #isClosed = false;

  constructor(history: History, onClosed: () => void) {
    this.#history = history;
    this.#onClosed = onClosed;
  }

  /** What the worker is told. */
  handlers(inner: ConnHandlers): ConnHandlers {
    const words = new TwoPartParser(MAX_WORD_BYTES);
    return {
      data: (bytes) => {
        words.push(bytes.slice(), (frame) => this.#add("told", decodeFrontendWord(frame)));
        inner.data(bytes);
      },
      end: () => {
        this.#add("peer ended");
        inner.end?.();
      },
      drain: () => inner.drain?.(),
      closed: (error) => {
        this.#add(error === undefined ? "closed" : "lost");
        this.#isClosed = true;
        this.#onClosed();
        inner.closed(error);
      },
    };
  }

  /** What the worker does. */
  conn(inner: Conn): Conn {
    return {
      remote: inner.remote,
      get pendingBytes() {
        return inner.pendingBytes;
      },
      write: (bytes) => {
        if (this.id === "") {
          this.id = subjectOf(bytes);
          this.#add("dialled");
        }
        if (endsWith(bytes, SENTINEL)) this.#add("finished");
        return inner.write(bytes);
      },
      end: () => {
        this.#add("ended");
        inner.end();
      },
      destroy: () => {
        this.#add("dropped");
        inner.destroy();
      },
      setReading: (reading) => inner.setReading(reading),
    };
  }

  #add(what: EventKind, detail?: string): void {
    if (!this.#isClosed) {
      this.#history.add("worker", what, { id: this.id, ...(detail === undefined ? {} : { detail }) });
    }
  }
}

/** The subject of the handshake that a worker's first write begins with. */
function subjectOf(bytes: Uint8Array): string {
  const headerBytes = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0));
  const frame = decodeTwoPart(bytes.subarray(0, TWO_PART_PREFIX_BYTES + headerBytes));
  const said = frame === null ? null : decodeWorkerHeader(frame.header);
  return said?.kind === "handshake" ? said.subject : "";
}

function endsWith(bytes: Uint8Array, end: Uint8Array): boolean {
  const start = bytes.length - end.length;
  return start >= 0 && end.every((byte, i) => bytes[start + i] === byte);
}
