/**
 * Connections between workers over TCP.
 *
 * @module
 */
import { connect, createServer, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import type { BootstrapNet, Link, LinkListener, LinkListening } from "./bootstrap_net.ts";

/** How long the last words of a connection may take. @unit milliseconds */
const LINGER_MS = 1000;
/** What may wait to be sent; sessions are a few hundred bytes, so whoever lets more wait does not read. @unit bytes */
const MOST_PENDING_BYTES = 1 << 18;

/** The network of this machine. */
export const nodeBootstrapNet: BootstrapNet = {
  ownAddress,
  listen,
  dial(host, port, listener) {
    const socket = connect({ host: host.replace(/^\[(.*)\]$/, "$1"), port, noDelay: true });
    return new SocketLink(socket, () => listener);
  },
  after(ms, ring) {
    const timer = setTimeout(ring, ms);
    return () => clearTimeout(timer);
  },
};

function ownAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return addresses.find(({ family, internal }) => family === "IPv4" && !internal)?.address ?? "127.0.0.1";
}

function listen(port: number, accept: (link: Link) => LinkListener): Promise<LinkListening> {
  const server = createServer({ noDelay: true }, (socket) => void new SocketLink(socket, accept));
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "0.0.0.0", () => {
      // A connection that cannot be taken is its dialler's trouble.
      server.off("error", reject).on("error", () => {});
      const { port } = server.address() as { readonly port: number };
      resolve({ port, close: () => new Promise((closed) => server.close(() => closed())) });
    });
  });
}

class SocketLink implements Link {
  readonly #socket: Socket;
  readonly #listener: LinkListener;
  #isClosed = false;

  constructor(socket: Socket, listenerOf: (link: Link) => LinkListener) {
    this.#socket = socket;
    // Runtimes that do not know the option of that name know the call.
    socket.setNoDelay(true);
    socket.on("data", (bytes: Uint8Array) => this.#tell((listener) => listener.data(bytes)));
    socket.on("error", (error: Error) => this.#lost(error.message));
    socket.on("end", () => this.#lost("hung up"));
    socket.on("close", () => this.#lost("hung up"));
    this.#listener = listenerOf(this);
  }

  send(bytes: Uint8Array): void {
    if (this.#isClosed || this.#socket.destroyed) return;
    if (this.#socket.writableLength > MOST_PENDING_BYTES) return this.#lost("does not read");
    this.#socket.write(bytes);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const timer = setTimeout(() => this.#socket.destroy(), LINGER_MS);
    this.#socket.once("close", () => clearTimeout(timer));
    this.#socket.end(() => this.#socket.destroy());
  }

  #lost(why: string): void {
    this.#tell((listener) => {
      this.#isClosed = true;
      this.#socket.destroy();
      listener.lost(why);
    });
  }

  #tell(tell: (listener: LinkListener) => void): void {
    if (!this.#isClosed) tell(this.#listener);
  }
}
