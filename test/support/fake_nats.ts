/**
 * As much of a NATS server as a publisher meets: INFO, CONNECT, PING, PUB, SUB, and losses on demand.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createServer, type Server, type Socket } from "node:net";
import { eventually } from "./worker_rig.ts";

/** One message as it came. */
export interface NatsReceived {
  readonly subject: string;
  readonly bytes: Uint8Array;
}

/** Settings of {@linkcode openFakeNats}. */
export interface FakeNatsOptions {
  readonly port?: number;
  readonly maxPayload?: number;
  /** Whether a client that says this in its CONNECT is let in. */
  readonly isWelcome?: (connect: Readonly<Record<string, unknown>>) => boolean;
}

/** The server. Disposing it closes everything. */
export interface FakeNats extends AsyncDisposable {
  readonly port: number;
  /** What clients said of themselves. */
  readonly connects: Readonly<Record<string, unknown>>[];
  /** Messages in order. */
  readonly received: NatsReceived[];
  /** Whether pings are answered; a server that does not has confirmed nothing. */
  answers: boolean;
  /** Stops reading, or goes on. */
  setReading(isReading: boolean): void;
  /** Drops every connection. */
  cut(): void;
  /** Resolves when that many messages are there. */
  got(count: number): Promise<void>;
}

/** Starts a server on loopback. */
export async function openFakeNats(options: FakeNatsOptions = {}): Promise<FakeNats> {
  const { maxPayload = 1_048_576, isWelcome = () => true } = options;
  const sockets = new Set<Socket>();
  const subscriptions = new Map<Socket, Map<string, string>>();
  let isReading = true;
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    subscriptions.set(socket, new Map());
    socket.on("error", () => {});
    socket.on("close", () => {
      sockets.delete(socket);
      subscriptions.delete(socket);
    });
    socket.write(`INFO ${JSON.stringify({ version: "2.10.0", max_payload: maxPayload, headers: true })}\r\n`);
    let rest = Buffer.alloc(0);
    socket.on("data", (bytes) => {
      rest = Buffer.concat([rest, bytes as Buffer]);
      rest = rest.subarray(take(socket, rest));
    });
    if (!isReading) socket.pause();
  });

  /** Takes the commands that are complete; returns their length. */
  function take(socket: Socket, bytes: Buffer): number {
    let at = 0;
    for (;;) {
      const end = bytes.indexOf("\r\n", at);
      if (end < 0) return at;
      const [verb, ...words] = bytes.subarray(at, end).toString().split(" ");
      let next = end + 2;
      if (verb === "PUB") {
        const length = Number(words.at(-1));
        if (bytes.length < next + length + 2) return at;
        publish(words[0]!, new Uint8Array(bytes.subarray(next, next + length)));
        next += length + 2;
      } else if (verb === "SUB") subscriptions.get(socket)?.set(words.at(-1)!, words[0]!);
      else if (verb === "UNSUB") subscriptions.get(socket)?.delete(words[0]!);
      else if (verb === "PING" && self.answers) socket.write("PONG\r\n");
      else if (verb === "CONNECT") connect(socket, JSON.parse(words.join(" ")));
      at = next;
    }
  }

  function connect(socket: Socket, about: Readonly<Record<string, unknown>>): void {
    self.connects.push(about);
    if (isWelcome(about)) return;
    socket.end("-ERR 'Authorization Violation'\r\n");
  }

  function publish(subject: string, bytes: Uint8Array): void {
    self.received.push({ subject, bytes });
    for (const [socket, wanted] of subscriptions) {
      for (const [id, name] of wanted) {
        if (name !== subject) continue;
        socket.write(
          Buffer.concat([Buffer.from(`MSG ${subject} ${id} ${bytes.length}\r\n`), bytes, Buffer.from("\r\n")]),
        );
      }
    }
  }

  await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", () => resolve()));
  const self: FakeNats = {
    port: (server.address() as { port: number }).port,
    connects: [],
    received: [],
    answers: true,
    setReading(reading) {
      isReading = reading;
      for (const socket of sockets) reading ? socket.resume() : socket.pause();
    },
    cut: () => sockets.forEach((socket) => socket.destroy()),
    got: (count) => eventually(`${count} messages at NATS`, () => self.received.length >= count),
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      self.cut();
      await closed;
    },
  };
  return self;
}
