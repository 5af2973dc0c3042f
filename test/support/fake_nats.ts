/**
 * As much of a NATS server as a worker and its clients meet: messages with headers and replies, queue groups, nobody
 * there, refusals, and losses on demand.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createServer, type Server, type Socket } from "node:net";
import type { NatsLinkOptions } from "../../src/nats/link.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { MemoryFiles } from "./files.ts";
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
  /** Whether somebody may subscribe to a subject. */
  readonly mayRead?: (subject: string) => boolean;
}

/** The server. Disposing it closes everything. */
export interface FakeNats extends AsyncDisposable {
  readonly port: number;
  /** What clients said of themselves. */
  readonly connects: Readonly<Record<string, unknown>>[];
  /** Messages in order. */
  readonly received: NatsReceived[];
  /** Subjects and queue groups of the subscriptions that are there, joined by a space. */
  readonly subscriptions: readonly string[];
  /** Whether pings are answered; a server that does not has confirmed nothing. */
  answers: boolean;
  /** Stops reading, or goes on. */
  setReading(isReading: boolean): void;
  /** Sends an error to every connection. */
  complain(error: string): void;
  /** Drops every connection. */
  cut(): void;
  /** Resolves when that many messages are there. */
  got(count: number): Promise<void>;
}

interface Subscription {
  readonly subject: string;
  readonly queue: string | null;
}

/** Starts a server on loopback. */
export async function openFakeNats(options: FakeNatsOptions = {}): Promise<FakeNats> {
  const { maxPayload = 1_048_576, isWelcome = () => true, mayRead = () => true } = options;
  const subscriptions = new Map<Socket, Map<string, Subscription>>();
  let isReading = true;
  const server: Server = createServer((socket) => {
    subscriptions.set(socket, new Map());
    socket.on("error", () => {});
    socket.on("close", () => subscriptions.delete(socket));
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
      if (verb === "PUB" || verb === "HPUB") {
        const length = Number(words.at(-1));
        if (bytes.length < next + length + 2) return at;
        const headerLength = verb === "HPUB" ? Number(words.at(-2)) : 0;
        const reply = words.length > (verb === "HPUB" ? 3 : 2) ? words[1]! : "";
        publish(socket, words[0]!, reply, Buffer.from(bytes.subarray(next, next + length)), headerLength);
        next += length + 2;
      } else if (verb === "SUB") subscribe(socket, words);
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

  function subscribe(socket: Socket, words: readonly string[]): void {
    const [subject, queue] = [words[0]!, words.length > 2 ? words[1]! : null];
    if (mayRead(subject)) return void subscriptions.get(socket)?.set(words.at(-1)!, { subject, queue });
    const group = queue === null ? "" : ` using queue "${queue}"`;
    socket.write(`-ERR 'Permissions Violation for Subscription to "${subject}"${group}'\r\n`);
  }

  function publish(from: Socket, subject: string, reply: string, whole: Buffer, headerLength: number): void {
    self.received.push({ subject, bytes: new Uint8Array(whole.subarray(headerLength)) });
    const readers = readersOf(subject);
    for (const [socket, id] of readers) deliver(socket, `${subject} ${id}`, reply, whole, headerLength);
    if (readers.length > 0 || reply === "") return;
    const none = Buffer.from("NATS/1.0 503\r\n\r\n");
    for (const [socket, id] of readersOf(reply)) {
      if (socket === from) deliver(socket, `${reply} ${id}`, "", none, none.length);
    }
  }

  /** Everybody who asked for a subject, and one of each queue group. */
  function readersOf(subject: string): [socket: Socket, id: string][] {
    const served = new Set<string>();
    return [...subscriptions].flatMap(([socket, wanted]) =>
      [...wanted].filter(([, { subject: name, queue }]) => {
        const isIt = name === subject || (name.endsWith(".*") && subject.startsWith(name.slice(0, -1)));
        if (!isIt || queue === null) return isIt;
        return !served.has(queue) && served.add(queue) !== null;
      }).map(([id]): [Socket, string] => [socket, id])
    );
  }

  function deliver(socket: Socket, to: string, reply: string, whole: Buffer, headerLength: number): void {
    const head = reply === "" ? to : `${to} ${reply}`;
    const sizes = headerLength > 0 ? `${headerLength} ${whole.length}` : `${whole.length}`;
    const verb = headerLength > 0 ? "HMSG" : "MSG";
    socket.write(Buffer.concat([Buffer.from(`${verb} ${head} ${sizes}\r\n`), whole, Buffer.from("\r\n")]));
  }

  await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", () => resolve()));
  const self: FakeNats = {
    port: (server.address() as { port: number }).port,
    connects: [],
    received: [],
    get subscriptions() {
      return [...subscriptions.values()].flatMap((wanted) => [...wanted.values()])
        .map(({ subject, queue }) => queue === null ? subject : `${subject} ${queue}`);
    },
    answers: true,
    setReading(reading) {
      isReading = reading;
      for (const socket of subscriptions.keys()) reading ? socket.resume() : socket.pause();
    },
    complain: (error) => subscriptions.forEach((_, socket) => socket.write(`-ERR '${error}'\r\n`)),
    cut: () => subscriptions.forEach((_, socket) => socket.destroy()),
    got: (count) => eventually(`${count} messages at NATS`, () => self.received.length >= count),
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      self.cut();
      await closed;
    },
  };
  return self;
}

/** Settings of a connection to it that does not wait for it, but for the log. */
export function natsAt(port: number): Omit<NatsLinkOptions, "log"> {
  const auth = { kind: "password", user: "user", password: "user" } as const;
  const { clock } = realPlatform;
  return {
    servers: { addresses: [`127.0.0.1:${port}`], auth, tls: null },
    patienceMs: 0,
    files: new MemoryFiles(clock),
    clock,
  };
}
