/**
 * The seam between Stator and the world: time, chance, sockets, files, HTTP and the process.
 *
 * Everything above takes a {@linkcode Platform}; only its implementations touch `node:`, `Deno.*` or `Bun.*`. A worker
 * can therefore run whole on a simulated platform.
 *
 * @module
 */

/** Time as the worker sees it. */
export interface Clock {
  /** Monotonic time; only differences mean something. @unit milliseconds, fractional */
  now(): number;
  /** Wall-clock time since the Unix epoch. @unit milliseconds, fractional */
  wallTime(): number;
  /** Calls `fire` once after `delayMs`; disposing the timer first cancels it. */
  timer(delayMs: number, fire: () => void): Disposable;
  /** Calls `run` once when everything that is ready in this turn of the event loop has run. Calls keep their order. */
  endOfTurn(run: () => void): void;
  /** Calls `run` once at the end of the next turn that happens anyway, or when `withinMs` have passed without one. */
  laterTurn(run: () => void, withinMs: number): void;
  /** Whether this turn followed the last without a pause: the process has more to do than it has time for. */
  readonly isBusy: boolean;
}

/** Source of unpredictable (or, in a simulation, seeded) numbers. */
export interface Random {
  /** A uniform number in [0, 1). */
  number(): number;
  /** A uniform unsigned 64-bit integer. */
  u64(): bigint;
  /** A random UUID, version 4. */
  uuid(): string;
}

/** What a connection tells its owner. `closed` is called exactly once and is the last call. */
export interface ConnHandlers {
  /** Bytes arrived. The view is only valid during the call unless copied. */
  data(bytes: Uint8Array): void;
  /** The peer will send nothing more; our side stays open for writing. */
  end?(): void;
  /** The write buffer is empty again after {@linkcode Conn.write} returned `false`. */
  drain?(): void;
  /** The connection is gone; `error` is set when it did not end in order. */
  closed(error?: Error): void;
}

/** One TCP connection. Every method may be called after it closed; it then does nothing. */
export interface Conn {
  /** The peer's address, for log lines. */
  readonly remote: string;
  /** Bytes accepted by {@linkcode write} that the system has not taken yet. */
  readonly pendingBytes: number;
  /** Queues bytes, which the caller must not touch again; `false` asks to wait for `drain`. */
  write(bytes: Uint8Array): boolean;
  /** Sends what is queued, then ends our half; reading goes on. */
  end(): void;
  /** Drops the connection now, without sending what is queued. */
  destroy(): void;
  /** Stops or resumes reading. */
  setReading(reading: boolean): void;
}

/** A host and port to bind or dial. IPv6 hosts carry no brackets. */
export interface SocketAddress {
  /** IP address (or, for {@linkcode Net.dial}, also a name). */
  readonly host: string;
  /** TCP port. */
  readonly port: number;
}

/** A listening socket. Disposing it closes the listener, not its connections. */
export interface Listener extends AsyncDisposable {
  /** The address it really listens on. */
  readonly address: SocketAddress;
}

/** One address of an interface that is up. */
export interface InterfaceAddress {
  /** Interface name, such as `eth0`. */
  readonly name: string;
  /** The address, without brackets or zone. */
  readonly address: string;
  /** Address family. */
  readonly family: "IPv4" | "IPv6";
  /** Whether it is a loopback address. */
  readonly internal: boolean;
}

/** TCP. Every socket has TCP_NODELAY and keep-alive on and stays half-open when the peer ends its side. */
export interface Net {
  /** Listens; `accept` is called for each connection and returns its handlers. */
  listen(address: SocketAddress, accept: (conn: Conn) => ConnHandlers): Promise<Listener>;
  /**
   * Dials; the promise rejects if the connection fails, or if `signal` aborts first. No handler is called before it
   * resolves.
   */
  dial(address: SocketAddress, handlers: ConnHandlers, signal?: AbortSignal): Promise<Conn>;
  /** The addresses of all interfaces that are up. */
  interfaces(): readonly InterfaceAddress[];
}

/** What {@linkcode Files.stat} tells. */
export interface FileInfo {
  /** Last modification. @unit milliseconds since the Unix epoch */
  readonly modifiedAt: number;
  /** Length. @unit bytes */
  readonly size: number;
  /** Whether it is a directory; otherwise it is treated as a regular file. */
  readonly isDirectory: boolean;
}

/** The file system. Failures are `Error`s with a `code` such as `ENOENT` or `EEXIST`. */
export interface Files {
  /** Reads a whole file. */
  read(path: string): Promise<Uint8Array>;
  /** Creates or replaces a file. */
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** Makes a second name for a file; fails with `EEXIST` if that name is taken. */
  link(from: string, to: string): Promise<void>;
  /** Renames, replacing what is there. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file. */
  remove(path: string): Promise<void>;
  /** Makes a directory and its parents; an existing one is fine. */
  makeDirectory(path: string): Promise<void>;
  /** Names in a directory, unordered. */
  list(path: string): Promise<string[]>;
  /** Facts about a file, following links. */
  stat(path: string): Promise<FileInfo>;
  /** Sets the modification time to now. */
  touch(path: string): Promise<void>;
  /** The directory for temporary files. */
  readonly temporaryDirectory: string;
  /** The current working directory. */
  readonly workingDirectory: string;
}

/** A running HTTP server. Disposing it stops it and closes its connections. */
export interface HttpServer extends AsyncDisposable {
  /** The address it really listens on. */
  readonly address: SocketAddress;
}

/** HTTP serving with the web's own types. `request.signal` aborts when the client leaves. */
export interface Http {
  /** Serves requests until disposed. */
  serve(address: SocketAddress, handler: (request: Request) => Response | Promise<Response>): Promise<HttpServer>;
}

/** With what a client of HTTPS servers proves who it is, and whom it trusts; PEM text. */
export interface TlsMaterial {
  /** Authorities to trust instead of those of the system. */
  readonly ca?: string;
  /** Certificate of the client; goes with {@linkcode key}. */
  readonly cert?: string;
  /** Its private key. */
  readonly key?: string;
}

/** One request. */
export interface HttpRequest {
  /** What is asked for. */
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** The address. */
  readonly url: string;
  /** Headers beside those of every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** What is sent; nothing with GET and DELETE. */
  readonly body?: string;
  /** Ends it, also while the answer's body is read. */
  readonly signal: AbortSignal;
}

/** The head of an answer, and its body as it comes. A body is read to its end, or ended by the signal of its request. */
export interface HttpAnswer {
  /** Status code. */
  readonly status: number;
  /** Media type, such as `application/json`; empty if none is named. */
  readonly contentType: string;
  /** The body; fails when the connection breaks off or the signal aborts. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** A client of HTTP servers with connections of its own. Disposing it closes those that are idle. */
export interface HttpClient extends Disposable {
  /** Asks, without following redirections; rejects if no answer comes. No time limit of its own, not while a body rests. */
  send(request: HttpRequest): Promise<HttpAnswer>;
}

/** Clients of HTTP servers. */
export interface HttpClients {
  /** Opens one; it throws if the PEM text cannot be used. */
  open(tls?: TlsMaterial): HttpClient;
}

/** What a thread beside the event loop tells of the worker while the event loop is blocked. */
export interface WatchedState {
  /** Whether the worker wants requests. */
  readonly ready: boolean;
  /** State of each endpoint by name. */
  readonly endpoints: Readonly<Record<string, "ready" | "notready">>;
  /** Whether a blocked event loop is a failure now. A model that is being loaded may well block it. */
  readonly counts: boolean;
}

/** What {@linkcode WatchdogThread.serve} works with. */
export interface WatchdogOptions {
  /** Where to listen. */
  readonly address: SocketAddress;
  /** The HTTP server of the event loop, which answers everything that the thread does not. */
  readonly backend: SocketAddress;
  /** Longest body that it takes. The thread passes on that a longer one is coming, and none of it. @unit bytes */
  readonly maxBodyBytes: number;
  /** Path the thread answers itself: 200, or 503 past `limitMs`. */
  readonly livePath: string;
  /** Path the thread answers with 503 as soon as the event loop is late. */
  readonly healthPath: string;
  /** How long the event loop may be blocked before the worker does not count as alive. @unit milliseconds */
  readonly limitMs: number;
  /** How long a request waits for an event loop that is blocked, before it is answered with 504. @unit milliseconds */
  readonly patienceMs: number;
  /** How long before the thread ends the process; 0 is never. @unit milliseconds */
  readonly exitMs: number;
  /** Exit code of the process then, where the runtime has a way; otherwise it dies of SIGKILL. */
  readonly exitCode: number;
  /** The line written to standard error before that; {@linkcode EPOCH} in it becomes the time. Empty writes nothing. */
  readonly lastWords: string;
  /** Age of the worker. @unit milliseconds */
  readonly uptimeMs: number;
  /** Asked several times a second, and at {@linkcode WatchdogThread.refresh}. */
  readonly state: () => WatchedState;
  /** Called when the thread is gone though nobody disposed it, and with it its listener. */
  readonly lost: (error: Error) => void;
}

/** The beginning of Unix time as log lines have it. */
export const EPOCH = "1970-01-01T00:00:00.000000Z";

/** A thread beside the event loop. Disposing it closes its listener and ends it. */
export interface WatchdogThread extends AsyncDisposable {
  /** Begins to watch and to listen; resolves with the address, rejects if it cannot listen there. Called once. */
  serve(options: WatchdogOptions): Promise<SocketAddress>;
  /** Tells the thread the state at once, since the event loop may be blocked before it is asked next. */
  refresh(): void;
}

/** Threads that go on while the event loop is blocked. Time in which the whole process stands still does not count. */
export interface Watchdog {
  /** Starts one; rejects if the runtime has none to give. */
  start(): Promise<WatchdogThread>;
}

/** The process the worker lives in. */
export interface Process {
  /** Command-line arguments, without the program. */
  readonly args: readonly string[];
  /** Environment variables, read once. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Calls `run` for each signal until disposed; the signal then no longer ends the process by itself. */
  onSignal(signal: "SIGINT" | "SIGTERM", run: () => void): Disposable;
  /** Calls `run` for each error that nobody caught, until disposed; it then no longer ends the process by itself. */
  onFault(run: (error: unknown) => void): Disposable;
  /** Ends the process now. */
  exit(code: number): void;
  /** Writes a line to standard output. */
  print(line: string): void;
  /** Writes a line to standard error. */
  printError(line: string): void;
  /** Whether standard error is a terminal. */
  readonly isErrorTerminal?: boolean;
}

/** A program of this machine and how to call it. */
export interface Program {
  /** Its name, looked up on the `PATH`, or its path. */
  readonly file: string;
  /** Its arguments. */
  readonly args: readonly string[];
  /** The folder it runs in. @default that of this process */
  readonly cwd?: string;
  /** Longest it may run; it is killed then. @unit milliseconds @default no limit */
  readonly timeoutMs?: number;
}

/** How a program ended. */
export interface ProgramEnd {
  /** Its exit code; `null` if it was killed. */
  readonly code: number | null;
  /** What it wrote to standard output. */
  readonly stdout: string;
  /** What it wrote to standard output and standard error, as it came. */
  readonly output: string;
}

/** Other programs. */
export interface Programs {
  /** This machine as `<system>-<processor>`, in Node's words, such as `linux-x64` or `darwin-arm64`. */
  readonly machine: string;
  /** Runs one to its end, with the environment of this process and no input; rejects with `ENOENT` if there is none. */
  run(program: Program): Promise<ProgramEnd>;
}

/** Everything Stator needs from outside. */
export interface Platform {
  /** Time and timers. */
  readonly clock: Clock;
  /** Random numbers. */
  readonly random: Random;
  /** TCP. */
  readonly net: Net;
  /** The file system. */
  readonly files: Files;
  /** HTTP serving. */
  readonly http: Http;
  /** HTTP calls; absent where there is no server to call. */
  readonly httpClients?: HttpClients;
  /** The process. */
  readonly process: Process;
  /** Threads that watch the event loop; absent where time is not real. */
  readonly watchdog?: Watchdog;
  /** Other programs; absent where there are none to run. */
  readonly programs?: Programs;
  /** Runtime name and version, such as `deno 2.9.6`. */
  readonly runtime: string;
}

/** Longest timer that every runtime keeps; a longer one would fire at once. @unit milliseconds */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Resolves after a time, or as soon as `signal` aborts; leaves no timer behind. @param ms Time, in milliseconds. */
export function delay(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  if (ms <= 0 || signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      timer[Symbol.dispose]();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = clock.timer(Math.min(ms, MAX_TIMER_MS), done);
    signal?.addEventListener("abort", done);
  });
}

/** Why a listener could not be opened, in the same words on every runtime. */
export function listenFault(error: unknown): string {
  const { name, code, message } = error as { name?: string; code?: string; message?: string };
  if (name === "AddrInUse" || code === "EADDRINUSE") return "the port is in use";
  if (code === "EADDRNOTAVAIL" || name === "AddrNotAvailable") return "it is no address of this machine";
  return message ?? String(error);
}
