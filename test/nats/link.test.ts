/** A connection to NATS, beside a server that does what the tests say. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type NatsLink, type NatsLinkOptions, openNatsLink } from "../../src/nats/link.ts";
import { createLog } from "../../src/observe/log.ts";
import type { DynamoError } from "../../src/protocol/error.ts";
import { encodeText } from "../../src/protocol/payload.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { natsAt, openFakeNats } from "../support/fake_nats.ts";
import { freePort } from "../support/processes.ts";
import { eventually } from "../support/worker_rig.ts";

interface Opened extends AsyncDisposable {
  readonly link: NatsLink;
  readonly lines: string[];
}

async function open(port: number, more: Partial<NatsLinkOptions> = {}): Promise<Opened> {
  const lines: string[] = [];
  const log = createLog({ level: "debug", wallTime: () => 0, write: (line) => void lines.push(line) });
  const link = await openNatsLink({ ...natsAt(port), log, ...more });
  return { link, lines, [Symbol.asyncDispose]: () => link[Symbol.asyncDispose]() };
}

test("a request gets the answer of one of a queue group, headers and all", async () => {
  await using server = await openFakeNats();
  await using opened = await open(server.port);
  const heard: unknown[] = [];
  const reader = {
    take: (message: Parameters<Parameters<NatsLink["subscribe"]>[1]["take"]>[0]) => {
      heard.push([new TextDecoder().decode(message.bytes), message.headers]);
      message.reply(encodeText("answer"));
    },
    refused: (error: Error) => assert.fail(error),
  };
  using _one = opened.link.subscribe("a.b", reader, "q");
  using _two = opened.link.subscribe("a.b", reader, "q");
  const answer = await opened.link.request("a.b", encodeText("question"), { "request-id": "1", empty: "" }, 5000);
  assert.equal(new TextDecoder().decode(answer), "answer");
  assert.deepEqual(heard, [["question", { "request-id": "1", empty: "" }]]);
});

test("a request to nobody fails at once, one without an answer in time, one without a connection at once", async () => {
  const server = await openFakeNats();
  await using opened = await open(server.port);
  const { link } = opened;
  await assert.rejects(link.request("a.b", encodeText("x"), {}, 60_000), {
    kind: "CannotConnect",
    message: "cannot reach a.b over NATS: nobody takes requests there",
  });
  using _mute = link.subscribe("a.b", { take: () => {}, refused: (error) => assert.fail(error) });
  await assert.rejects(link.request("a.b", encodeText("x"), {}, 1), { kind: "ConnectionTimeout" });
  await server[Symbol.asyncDispose]();
  await eventually("the loss", () => !link.isUp);
  await assert.rejects(link.request("a.b", encodeText("x"), {}, 60_000), /the connection to NATS is lost/);
});

test("draining a subscription takes what the server has sent before, and nothing later", async () => {
  await using server = await openFakeNats();
  await using opened = await open(server.port);
  await using other = await open(server.port);
  const heard: string[] = [];
  const subscription = opened.link.subscribe("a", {
    take: ({ bytes }) => void heard.push(new TextDecoder().decode(bytes)),
    refused: (error) => assert.fail(error),
  });
  await opened.link.flush();
  for (let i = 0; i < 100; i++) other.link.send("a", encodeText(`${i}`));
  await other.link.flush();
  await subscription.drain();
  assert.equal(heard.length, 100);
  other.link.send("a", encodeText("late"));
  await other.link.flush();
  await opened.link.flush();
  assert.equal(heard.length, 100);
  await server[Symbol.asyncDispose]();
  await eventually("the loss", () => !opened.link.isUp);
  await subscription.drain();
});

test("subscriptions come back with the connection; an error of the server is told once", async () => {
  const first = await openFakeNats();
  await using opened = await open(first.port);
  using _subscription = opened.link.subscribe("a", { take: () => {}, refused: (error) => assert.fail(error) }, "q");
  await opened.link.flush();
  first.complain("Slow Consumer");
  first.complain("Slow Consumer");
  await eventually("the complaint", () => opened.lines.some((line) => line.includes("Slow Consumer")));
  await first[Symbol.asyncDispose]();
  await eventually("the loss", () => opened.lines.some((line) => line.includes("Lost the connection to NATS")));
  await using second = await openFakeNats({ port: first.port });
  await eventually("the subscription", () => second.subscriptions.includes("a q"));
  assert.equal(opened.lines.filter((line) => line.includes("NATS refused something")).length, 1);
});

test("replies that the server does not allow are told once", async () => {
  await using server = await openFakeNats();
  await using opened = await open(server.port);
  for (const inbox of ["a", "b"]) server.complain(`Permissions Violation for Publish to "_INBOX.${inbox}"`);
  await eventually("the complaint", () => opened.lines.some((line) => line.includes("_INBOX.>")));
  await opened.link.flush();
  assert.equal(opened.lines.filter((line) => line.includes("Permissions Violation")).length, 1);
});

test("a subscription that the server does not allow is refused", async () => {
  await using server = await openFakeNats({ mayRead: (subject) => subject !== "secret" });
  await using opened = await open(server.port);
  const refused = new Promise<Error>((resolve) =>
    opened.link.subscribe("secret", { take: () => {}, refused: resolve }, "q")
  );
  assert.match((await refused).message, /Permissions Violation for Subscription to "secret"/);
  await opened.link.flush();
  assert.deepEqual(opened.lines.filter((line) => line.includes("WARN")), [], "whoever subscribed tells it");
});

test("no server: one attempt with no patience, else one warning until it is there", async () => {
  const port = await freePort();
  await assert.rejects(
    open(port),
    (error: DynamoError) =>
      error.kind === "CannotConnect" && /NATS at 127\.0\.0\.1:\d+: .*set NATS_SERVER/.test(error.message) &&
      !error.message.includes("\n"),
  );
  const clock = new FakeClock();
  const lines: string[] = [];
  const log = createLog({ level: "info", wallTime: () => 0, write: (line) => void lines.push(line) });
  const opening = open(port, { clock, patienceMs: 60_000, log });
  await eventually("the warning", () => lines.some((line) => line.includes("NATS is not there yet")));
  await using server = await openFakeNats({ port });
  let opened: Opened | null = null;
  void opening.then((it) => opened = it);
  await eventually("the connection", async () => {
    await clock.advance(1000);
    return opened !== null;
  });
  assert.equal(lines.filter((line) => line.includes("not there yet")).length, 1);
  assert.equal(server.connects.length, 1);
  await (await opening)[Symbol.asyncDispose]();
});

test("a stop ends the attempts to connect", async () => {
  const stop = new AbortController();
  const clock = new FakeClock();
  const opening = open(await freePort(), { clock, patienceMs: 60_000, signal: stop.signal });
  stop.abort();
  await assert.rejects(opening, { kind: "CannotConnect" });
  assert.equal(clock.pendingTimers, 0);
});

test("a server that does not let us in ends the start at once", async () => {
  await using server = await openFakeNats({ isWelcome: ({ auth_token }) => auth_token === "right" });
  const addresses = [`127.0.0.1:${server.port}`];
  const servers = (token: string) => ({ addresses, auth: { kind: "token", token } as const, tls: null });
  await assert.rejects(
    open(server.port, { servers: servers("wrong"), patienceMs: 60_000 }),
    (error: DynamoError) =>
      error.kind === "CannotConnect" && /Authorization Violation.*NATS_AUTH_/i.test(error.message),
  );
  await using _opened = await open(server.port, { servers: servers("right") });
});

test("credentials come from a file, and one that is not there is named", async () => {
  const auth = { kind: "credentials", file: "/nats.creds" } as const;
  const servers = { addresses: ["127.0.0.1:1"], auth, tls: null };
  await assert.rejects(open(1, { servers }), /NATS_AUTH_CREDENTIALS_FILE: cannot read \/nats\.creds/);
});
