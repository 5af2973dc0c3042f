/** What every request plane promises the pipeline and frontends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { openNatsLink } from "../../src/nats/link.ts";
import { SILENT } from "../../src/observe/log.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { decodeHeaders } from "../../src/protocol/control.ts";
import { encodeRequestFrame } from "../../src/protocol/frame.ts";
import { encodeText } from "../../src/protocol/payload.ts";
import type { InstanceTransport } from "../../src/protocol/record.ts";
import { openNatsRequestPlane } from "../../src/request_plane/nats.ts";
import type { Accept, RawRequest, RequestPlane } from "../../src/request_plane/request_plane.ts";
import { openTcpRequestPlane } from "../../src/request_plane/tcp.ts";
import { natsAt, openFakeNats } from "../support/fake_nats.ts";
import { openRawFrontend } from "../support/raw_frontend.ts";

const NAME = { namespace: "dynamo", component: "back.end", endpoint: "generate" };
const ID = 0x98fc50300d1239cdn;
const HEADERS = { "request-id": "r", traceparent: "00-1-2-01" };

/** A plane, and a frontend's half of it. */
interface World extends AsyncDisposable {
  readonly plane: RequestPlane;
  /** Sends a request; resolves with the text of its acknowledgement. Rejects if nobody is there to give one. */
  send(transport: InstanceTransport, payload: string): Promise<string>;
}

const { net, clock } = realPlatform;

async function openTcp(): Promise<World> {
  await using undo = new AsyncDisposableStack();
  const host = { bind: "127.0.0.1", advertise: "127.0.0.1" };
  const plane = undo.use(
    await openTcpRequestPlane({ net, clock, log: SILENT, host, port: 0, maxMessageBytes: 1 << 20 }),
  );
  const frontend = undo.use(await openRawFrontend());
  const opened = undo.move();
  return {
    plane,
    async send(transport, payload) {
      assert.ok("tcp" in transport);
      const slash = transport.tcp.indexOf("/");
      const link = await frontend.dial(transport.tcp.slice(0, slash));
      const path = encodeText(transport.tcp.slice(slash + 1));
      const headers = encodeText(JSON.stringify(HEADERS));
      link.write(encodeRequestFrame({ path, headers, payload: encodeText(payload) }));
      return (await link.acked(1))[0]!;
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

async function openNats(): Promise<World> {
  await using undo = new AsyncDisposableStack();
  const server = undo.use(await openFakeNats());
  const [link, frontend] = [
    undo.use(await openNatsLink({ ...natsAt(server.port), log: SILENT })),
    undo.use(await openNatsLink({ ...natsAt(server.port), log: SILENT })),
  ];
  const plane = undo.use(openNatsRequestPlane({ link, clock, log: SILENT }));
  const opened = undo.move();
  return {
    plane,
    async send(transport, payload) {
      assert.ok("nats_tcp" in transport);
      return new TextDecoder().decode(await frontend.request(transport.nats_tcp, encodeText(payload), HEADERS, 10_000));
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

const PLANES = [
  { name: "tcp", open: openTcp, address: /^127\.0\.0\.1:\d+\/98fc50300d1239cd\/dynamo\/back\.end\/generate$/ },
  { name: "nats", open: openNats, address: /^dynamo_back\.end\.generate-98fc50300d1239cd$/ },
] as const;

/** Refuses with the payload, unless it is empty. */
const echo: Accept = ({ payload }) => payload.length === 0 ? null : new TextDecoder().decode(payload);

function headersOf({ headers }: RawRequest): Readonly<Record<string, string>> {
  return headers instanceof Uint8Array ? decodeHeaders(headers) : headers;
}

for (const { name, open, address } of PLANES) {
  test(`${name}: it is called so, and says where it is as records do`, async () => {
    await using world = await open();
    await using endpoint = await world.plane.serve(NAME, ID, () => null);
    assert.equal(world.plane.name, name);
    assert.match(Object.values(endpoint.transport)[0]!, address);
  });

  test(`${name}: a request comes whole, with its headers, and is acknowledged at once`, async () => {
    await using world = await open();
    const seen: unknown[] = [];
    await using endpoint = await world.plane.serve(NAME, ID, (request) => {
      seen.push([headersOf(request), new TextDecoder().decode(request.payload)]);
      return null;
    });
    assert.equal(await world.send(endpoint.transport, "payload"), "");
    assert.deepEqual(seen, [[HEADERS, "payload"]]);
  });

  test(`${name}: a refusal reaches the frontend in its words`, async () => {
    await using world = await open();
    await using endpoint = await world.plane.serve(NAME, ID, echo);
    const text = "Server overloaded: worker at capacity";
    assert.deepEqual(await Promise.all([text, "", text].map((payload) => world.send(endpoint.transport, payload))), [
      text,
      "",
      text,
    ]);
  });

  test(`${name}: endpoints of one worker are apart, and one that ended takes nothing while others go on`, async () => {
    await using world = await open();
    const other = { ...NAME, endpoint: "other" };
    const one = await world.plane.serve(NAME, ID, () => "Server overloaded: one");
    await using two = await world.plane.serve(other, ID, () => "Server overloaded: two");
    assert.equal(await world.send(one.transport, ""), "Server overloaded: one");
    await one[Symbol.asyncDispose]();
    const late = await world.send(one.transport, "").catch((error) => `Server unavailable: ${error.message}`);
    assert.match(late, /^Server unavailable: .*(?:unknown endpoint|nobody takes requests there)/);
    assert.equal(await world.send(two.transport, ""), "Server overloaded: two");
  });

  test(`${name}: what is under way when an endpoint ends is answered`, async () => {
    await using world = await open();
    let count = 0;
    const endpoint = await world.plane.serve(NAME, ID, () => {
      count++;
      return null;
    });
    const sent = Array.from({ length: 50 }, () => world.send(endpoint.transport, "x").catch(() => "nobody"));
    await Promise.race(sent);
    await endpoint[Symbol.asyncDispose]();
    const answers = await Promise.all(sent);
    assert.equal(answers.filter((text) => text === "").length, count);
    assert.ok(answers.every((text) => text === "" || text === "nobody" || text.startsWith("Server unavailable:")));
  });
}
