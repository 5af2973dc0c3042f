/** Requests over NATS, where they differ from those over TCP; `contract/request_plane.test.ts` has what is common. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type NatsLink, openNatsLink } from "../../src/nats/link.ts";
import { createLog, SILENT } from "../../src/observe/log.ts";
import type { Clock } from "../../src/platform/platform.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { encodeText } from "../../src/protocol/payload.ts";
import { openNatsRequestPlane } from "../../src/request_plane/nats.ts";
import type { RequestPlane } from "../../src/request_plane/request_plane.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { natsAt, openFakeNats } from "../support/fake_nats.ts";
import { passUntil } from "../support/worker_life.ts";
import { eventually } from "../support/worker_rig.ts";

const NAME = { namespace: "dynamo", component: "sample", endpoint: "generate" };
const SUBJECT = "dynamo_sample.generate-7b";

interface Opened extends AsyncDisposable {
  readonly plane: RequestPlane;
  readonly lines: string[];
}

async function open(port: number, clock: Clock = realPlatform.clock): Promise<Opened> {
  const lines: string[] = [];
  const log = createLog({ level: "debug", wallTime: () => 0, write: (line) => void lines.push(line) });
  const link = await openNatsLink({ ...natsAt(port), log });
  const plane = openNatsRequestPlane({ link, clock, log });
  return { plane, lines, [Symbol.asyncDispose]: () => link[Symbol.asyncDispose]() };
}

async function frontendOf(port: number): Promise<NatsLink> {
  return await openNatsLink({ ...natsAt(port), log: SILENT });
}

test("an endpoint is one subscription in the group of Dynamo's workers, there before serve() resolves", async () => {
  await using server = await openFakeNats();
  await using opened = await open(server.port);
  const endpoint = await opened.plane.serve(NAME, 0x7bn, () => null);
  assert.deepEqual(endpoint.transport, { nats_tcp: SUBJECT });
  assert.deepEqual(server.subscriptions, [`${SUBJECT} q`]);
  await endpoint[Symbol.asyncDispose]();
  assert.deepEqual(server.subscriptions, []);
});

test("a request that wants no acknowledgement is taken all the same", async () => {
  await using server = await openFakeNats();
  await using opened = await open(server.port);
  const seen: string[] = [];
  await using _endpoint = await opened.plane.serve(NAME, 0x7bn, ({ payload }) => {
    seen.push(new TextDecoder().decode(payload));
    return seen.length === 1 ? null : "Server overloaded: worker at capacity";
  });
  await using frontend = await frontendOf(server.port);
  for (const text of ["one", "two"]) frontend.send(SUBJECT, encodeText(text));
  await eventually("both", () => seen.length === 2);
  await frontend.request(SUBJECT, encodeText("three"), {}, 10_000);
  assert.deepEqual(seen, ["one", "two", "three"]);
});

test("a server that was gone sends requests again, without a new record", async () => {
  const first = await openFakeNats();
  await using opened = await open(first.port);
  await using _endpoint = await opened.plane.serve(NAME, 0x7bn, () => null);
  await first[Symbol.asyncDispose]();
  await eventually("the loss", () => opened.lines.some((line) => line.includes("Lost the connection to NATS")));
  await using second = await openFakeNats({ port: first.port });
  await eventually("the subscription", () => second.subscriptions.includes(`${SUBJECT} q`));
  await using frontend = await frontendOf(second.port);
  assert.equal((await frontend.request(SUBJECT, encodeText("x"), {}, 10_000)).length, 0);
});

test("a server that allows no subscription fails the start in a line that says what to allow", async () => {
  await using server = await openFakeNats({ mayRead: (subject) => subject !== SUBJECT });
  await using opened = await open(server.port);
  await assert.rejects(opened.plane.serve(NAME, 0x7bn, () => null), {
    kind: "CannotConnect",
    message: /^NATS does not let this worker take requests on dynamo_sample\.generate-7b: .*\(queue q\).*NATS_AUTH_/,
  });
  assert.deepEqual(
    opened.lines.filter((line) => /WARN|ERROR/.test(line)),
    [],
    "it is told once, by the one that fails",
  );
  await using _other = await opened.plane.serve({ ...NAME, endpoint: "other" }, 0x7bn, () => null);
});

test("what a server forbids when it is back is an error in the log, and is asked for again the next time", async () => {
  const first = await openFakeNats();
  await using opened = await open(first.port);
  await using _endpoint = await opened.plane.serve(NAME, 0x7bn, () => null);
  await first[Symbol.asyncDispose]();
  const strict = await openFakeNats({ port: first.port, mayRead: () => false });
  await eventually("the refusal", () => opened.lines.some((line) => line.includes("No requests come over NATS")));
  await strict[Symbol.asyncDispose]();
  await using again = await openFakeNats({ port: first.port });
  await eventually("the subscription", () => again.subscriptions.includes(`${SUBJECT} q`));
});

test("names that no subject can hold are refused, and the subject shown", async () => {
  await using server = await openFakeNats();
  await using opened = await open(server.port);
  for (const namespace of ["a b", "a..b", ".a", "x.>.y", "*.y"]) {
    const serving = opened.plane.serve({ ...NAME, namespace }, 1n, () => null);
    await assert.rejects(serving, { kind: "InvalidArgument", message: /cannot be a NATS subject: .*generate-1"$/ });
  }
});

test("a server that says nothing holds the end of an endpoint for a moment only", async () => {
  await using server = await openFakeNats();
  const clock = new FakeClock();
  await using opened = await open(server.port, clock);
  const endpoint = await opened.plane.serve(NAME, 0x7bn, () => null);
  server.answers = false;
  let isOver = false;
  void endpoint[Symbol.asyncDispose]().then(() => isOver = true);
  await passUntil(clock, "the end", () => isOver, 1500);
  assert.equal(clock.pendingTimers, 0);
});
