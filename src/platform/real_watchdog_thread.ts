/**
 * The program of the watchdog thread. It is text, so that every bundle and every binary holds it, and a module in plain
 * JavaScript on `node:` modules, which are the same on Deno and Bun.
 *
 * It says `{ started }` once, is told `{ serve }` once, answers `{ address }` or `{ fault }`, and is told `{ state }`
 * from time to time. On `{ close }` it lets answers finish and says `{ closed }`.
 *
 * @module
 */

/** The program. */
export const THREAD_PROGRAM = `import fs from "node:fs";
import http from "node:http";
import process from "node:process";

const TICK_MS = 100;
// A tick that comes later than this was late because the whole process stood still, which is nobody's fault.
const MOST_MS = 200;
// An event loop that is silent for so long is not ready for requests.
const LATE_MS = 1000;
// How long answers may go on when the thread is to end.
const CLOSE_MS = 500;

let beats = null;
let options = null;
let state = null;
let bornAt = 0;
let seen = 0;
let silentMs = 0;
let tickedAt = 0;
let isDying = false;
const waiting = new Set();

const wallTime = () => performance.timeOrigin + performance.now();
const seconds = (ms) => (ms / 1000).toFixed(1) + " s";
const blockedFor = () => "the event loop has been blocked for " + seconds(silentMs);

function tick() {
  const now = performance.now();
  const passedMs = Math.min(now - tickedAt, MOST_MS);
  tickedAt = now;
  const beat = Atomics.load(beats, 0);
  if (beat !== seen) {
    seen = beat;
    silentMs = 0;
    return;
  }
  silentMs += passedMs;
  if (silentMs >= LATE_MS) for (const request of waiting) request.late(passedMs);
  if (!isDying && state.counts && options.exitMs > 0 && silentMs >= options.exitMs) die();
}

function answer(request, response) {
  const path = request.url.replace(/[?#].*$/, "");
  const isRead = request.method === "GET" || request.method === "HEAD";
  const isHealth = isRead && path === options.healthPath;
  if (isHealth && silentMs >= LATE_MS) return sayNotReady(response);
  if (isRead && path === options.livePath && !isHealth) return sayAlive(response);
  forward(request, response, isHealth);
}

function sayAlive(response) {
  const isAlive = !state.counts || silentMs < options.limitMs;
  if (isAlive) return say(response, 200, health(state.ready, {}));
  say(response, 503, health(false, blocked(blockedFor() + ", more than " + seconds(options.limitMs))));
}

function sayNotReady(response) {
  say(response, 503, health(false, blocked(blockedFor())));
}

const blocked = (message) => ({ error: "Event loop blocked", message });

function health(isReady, more) {
  const uptimeMs = wallTime() - bornAt;
  const secs = Math.floor(uptimeMs / 1000);
  const nanos = Math.round((uptimeMs - secs * 1000) * 1e6) % 1e9;
  const names = Object.keys(state.endpoints);
  const endpoints = isReady ? state.endpoints : Object.fromEntries(names.map((name) => [name, "notready"]));
  return { status: isReady ? "ready" : "notready", uptime: { secs, nanos }, endpoints, ...more };
}

function say(response, status, value) {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", "content-length": body.length });
  response.end(body);
}

// What belongs to one connection, or to how a body travels on it.
const OF_CONNECTION = ["connection", "keep-alive", "proxy-connection", "expect", "transfer-encoding"];

function passOn(rawHeaders) {
  const headers = new Map();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const [name, value] = [rawHeaders[i], rawHeaders[i + 1]];
    const key = name.toLowerCase();
    if (OF_CONNECTION.includes(key)) continue;
    const known = headers.get(key);
    headers.set(key, known === undefined ? [name, value] : [known[0], [].concat(known[1], value)]);
  }
  return Object.fromEntries(headers.values());
}

function forward(request, response, isHealth) {
  let onward = null;
  let waitedMs = 0;
  const leave = () => {
    waiting.delete(entry);
    onward?.destroy();
  };
  const over = (speak) => {
    leave();
    if (response.headersSent) response.destroy();
    else speak(response);
  };
  const entry = {
    late(passedMs) {
      waitedMs += passedMs;
      if (isHealth) return over(sayNotReady);
      if (waitedMs >= options.patienceMs) over((to) => say(to, 504, blocked(blockedFor() + doubt(request, onward))));
    },
  };
  waiting.add(entry);
  response.on("close", leave);
  request.on("error", leave);
  readBody(request, (body, length) => {
    if (!waiting.has(entry)) return;
    onward = send(request, body, length);
    onward.on("error", ({ message }) => {
      if (!waiting.has(entry)) return;
      over((to) => say(to, 502, { error: "No answer", message: "the event loop did not answer: " + message }));
    });
    onward.on("response", (reply) => {
      response.writeHead(reply.statusCode, passOn(reply.rawHeaders));
      reply.on("error", () => response.destroy());
      reply.pipe(response);
    });
  });
}

// Calls back with the body, or with none and a length that is too long for the server behind.
function readBody(request, ready) {
  const declared = Number(request.headers["content-length"] ?? 0);
  const parts = [];
  let length = 0;
  let isOver = false;
  const end = (body, size) => {
    if (isOver) return;
    isOver = true;
    ready(body, size);
  };
  request.on("data", (part) => {
    length += part.length;
    if (length > options.maxBodyBytes) end(null, Math.max(length, declared));
    else if (!isOver) parts.push(part);
  });
  request.on("end", () => end(Buffer.concat(parts), length));
  if (declared > options.maxBodyBytes) end(null, declared);
}

// A body that is too long is announced and not sent: the server behind refuses it unread, and hangs up on the writer.
function send(request, body, length) {
  const { host, port } = options.backend;
  const { method, url: path } = request;
  const headers = passOn(request.rawHeaders);
  const lengthName = Object.keys(headers).find((name) => name.toLowerCase() === "content-length");
  if (length > 0) headers[lengthName ?? "content-length"] = String(length);
  if (request.headers.host === undefined) headers.host = "localhost";
  // A connection each: none that is kept open can turn out to be closed.
  const onward = http.request({ host, port, method, path, headers, agent: false, setHost: false });
  if (body === null) onward.flushHeaders();
  else onward.end(body);
  return onward;
}

const doubt = ({ method }, onward) =>
  onward === null || method === "GET" || method === "HEAD" ? "" : "; the request may still be carried out";

function die() {
  isDying = true;
  const time = new Date().toISOString().replace("Z", "000Z");
  const line = options.lastWords.replace(options.epoch, time);
  // Nobody may be reading what is written.
  setTimeout(end, LATE_MS);
  if (line === "") end();
  else fs.write(2, line + "\\n", end);
}

// A thread's own process.exit ends no more than the thread, on Deno and on Bun.
async function end() {
  for (const library of ["libc.so.6", "libc.so", "libSystem.B.dylib"]) {
    try {
      (await open(library))(options.exitCode);
    } catch {}
  }
  if (mayUse("run")) process.kill(process.pid, "SIGKILL");
}

async function open(library) {
  if (typeof Deno === "undefined") {
    const { dlopen } = await import("bun:ffi");
    return dlopen(library, { _exit: { args: ["i32"], returns: "void" } }).symbols._exit;
  }
  if (!mayUse("ffi")) throw new Error("not permitted");
  return Deno.dlopen(library, { _exit: { parameters: ["i32"], result: "void" } }).symbols._exit;
}

// Asking for a permission that is not there would wait for a person.
function mayUse(name) {
  return typeof Deno === "undefined" || Deno.permissions.querySync({ name }).state === "granted";
}

const server = http.createServer(answer);
// As the server behind it: connections are kept for as long as the client wants.
server.keepAliveTimeout = 0;
server.requestTimeout = 0;

function serve(given) {
  beats = new Int32Array(given.beats);
  options = given;
  state = given.state;
  bornAt = wallTime() - given.uptimeMs;
  server.once("error", ({ code, message }) => postMessage({ fault: { code, message } }));
  server.listen({ host: given.address.host, port: given.address.port }, () => {
    server.removeAllListeners("error");
    server.on("error", () => {});
    const { address: host, port } = server.address();
    tickedAt = performance.now();
    setInterval(tick, TICK_MS);
    postMessage({ address: { host, port } });
  });
}

function close() {
  const closed = () => postMessage({ closed: true });
  const force = setTimeout(() => {
    server.closeAllConnections();
    closed();
  }, CLOSE_MS);
  server.close(() => {
    clearTimeout(force);
    closed();
  });
  server.closeIdleConnections();
}

self.onmessage = ({ data: message }) => {
  if (message.serve !== undefined) serve(message.serve);
  else if (message.state !== undefined) state = message.state;
  else if (message.close) close();
};
postMessage({ started: true });
`;
