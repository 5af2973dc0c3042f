import assert from "node:assert/strict";
import { test } from "node:test";
import { createLog } from "../../src/observe/log.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { openTcpRequestPlane } from "../../src/request_plane/tcp.ts";
import type { Accept } from "../../src/request_plane/request_plane.ts";
import { encodeRequestFrame } from "../../src/protocol/frame.ts";
import { encodeText } from "../../src/protocol/payload.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { openRawFrontend, type RawLink } from "../support/raw_frontend.ts";
import { eventually } from "../support/worker_rig.ts";
import type { Net } from "../../src/platform/platform.ts";

const NAME = { namespace: "dynamo", component: "backend", endpoint: "generate" };
const PATH = "7b/dynamo/backend/generate";
const MAX = 1 << 20;

/** A plane on virtual time and real sockets; `open` counts its connections. */
async function start(accept: Accept = () => null) {
  await using undo = new AsyncDisposableStack();
  const clock = new FakeClock();
  const lines: string[] = [];
  const log = createLog({ level: "debug", wallTime: () => 0, write: (line) => void lines.push(line) });
  const connections = { open: 0 };
  const net: Net = {
    ...realPlatform.net,
    listen: (address, accept) =>
      realPlatform.net.listen(address, (conn) => {
        connections.open++;
        const handlers = accept(conn);
        return {
          data: (bytes) => handlers.data(bytes),
          end: () => handlers.end?.(),
          drain: () => handlers.drain?.(),
          closed: (error) => {
            connections.open--;
            handlers.closed(error);
          },
        };
      }),
  };
  const host = { bind: "127.0.0.1", advertise: "127.0.0.1" };
  const plane = undo.use(await openTcpRequestPlane({ net, clock, log, host, port: 0, maxMessageBytes: MAX }));
  const served = await plane.serve(NAME, 0x7bn, accept);
  const { transport } = served;
  assert.ok("tcp" in transport);
  const address = transport.tcp.split("/")[0]!;
  assert.equal(transport.tcp, `${address}/${PATH}`);
  const frontend = undo.use(await openRawFrontend());
  const running = undo.move();
  return {
    plane,
    served,
    clock,
    lines,
    connections,
    address,
    dial: () => frontend.dial(address),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

const NONE = new Uint8Array(0);

function frame(path = PATH, payload: Uint8Array = NONE): Uint8Array {
  return encodeRequestFrame({ path: encodeText(path), headers: NONE, payload });
}

/** Frames whose payloads are texts. */
function frames(...payloads: readonly string[]): Uint8Array {
  return concat(...payloads.map((text) => frame(PATH, encodeText(text))));
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** Echoes the payload as the refusal, so that acknowledgements can be told apart. */
const echo: Accept = ({ payload }) => payload.length === 0 ? null : new TextDecoder().decode(payload);

/** The connection still serves. */
async function assertServes(link: RawLink): Promise<void> {
  const before = link.acks.length;
  link.write(frame());
  assert.equal((await link.acked(before + 1))[before], "");
}

test("frames that come in one write are acknowledged in their order", async () => {
  await using plane = await start(echo);
  const link = await plane.dial();
  link.write(frames("one", "", "three", "", "five"));
  assert.deepEqual(await link.acked(5), ["one", "", "three", "", "five"]);
  assert.deepEqual([...link.bytes.subarray(0, 11)], [0, 0, 0, 3, 111, 110, 101, 0, 0, 0, 0]);
});

test("frames that come byte by byte are acknowledged in their order", async () => {
  await using plane = await start(echo);
  const link = await plane.dial();
  for (const byte of frames("one", "", "three")) {
    link.write(Uint8Array.of(byte));
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(await link.acked(3), ["one", "", "three"]);
});

test("an endpoint that is not served is unavailable, and the connection stays", async () => {
  await using plane = await start();
  const link = await plane.dial();
  for (const path of ["7c/dynamo/backend/generate", "", `${PATH}/`, "7b/dynamo/backend"]) link.write(frame(path));
  for (const ack of await link.acked(4)) assert.ok(ack.startsWith("Server unavailable: unknown endpoint"), ack);
  await assertServes(link);
});

test("a path that is not UTF-8 is unavailable", async () => {
  await using plane = await start();
  const link = await plane.dial();
  link.write(encodeRequestFrame({ path: Uint8Array.of(0xff, 0xfe), headers: NONE, payload: NONE }));
  assert.match((await link.acked(1))[0]!, /^Server unavailable: /);
  await assertServes(link);
});

test("an endpoint that was disposed refuses, others of the listener go on", async () => {
  await using plane = await start();
  const other = await plane.plane.serve({ ...NAME, endpoint: "other" }, 0x7bn, () => null);
  const link = await plane.dial();
  await plane.served[Symbol.asyncDispose]();
  link.write(frame(), frame("7b/dynamo/backend/other"));
  const [refused, accepted] = await link.acked(2);
  assert.match(refused!, /^Server unavailable: /);
  assert.equal(accepted, "");
  await other[Symbol.asyncDispose]();
});

test("a frame above the limit is refused once, then the connection ends in order; others go on", async () => {
  await using plane = await start();
  const [link, other] = [await plane.dial(), await plane.dial()];
  const head = frame(PATH, NONE);
  new DataView(head.buffer).setUint32(head.length - 4, MAX);
  link.write(frame(), head);
  await link.when("the end", () => link.hasEnded);
  const [accepted, refused, ...more] = link.acks;
  assert.equal(accepted, "");
  assert.match(refused!, /^Server unavailable: message too large: \d+ bytes \(max: 1048576 bytes\)$/);
  link.write(new Uint8Array(100_000));
  await assertServes(other);
  assert.deepEqual(more, []);
  link.fin();
  await plane.clock.advance(45_000);
  await eventually("the connection to go", () => plane.connections.open === 1);
  assert.equal(link.acks.length, 2);
});

test("a frame of exactly the limit is taken", async () => {
  let length = 0;
  await using plane = await start(({ payload }) => (length = payload.length, null));
  const link = await plane.dial();
  link.write(frame(PATH, new Uint8Array(MAX - frame().length)));
  assert.deepEqual(await link.acked(1), [""]);
  assert.equal(length, MAX - frame().length);
});

test("a length of 4 GiB is refused without waiting for it", async () => {
  await using plane = await start();
  const link = await plane.dial();
  const head = frame();
  head.fill(0xff, head.length - 4);
  link.write(head);
  await link.when("the end", () => link.hasEnded);
  assert.match(link.acks[0]!, /^Server unavailable: message too large: 429\d{7} bytes/);
});

test("1 MB of random bytes harms nobody and the connection goes", async () => {
  await using plane = await start();
  const other = await plane.dial();
  let seed = 7;
  for (let round = 0; round < 8; round++) {
    const bytes = Uint8Array.from({ length: 1 << 20 }, () => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return seed >>> 16;
    });
    const link = await plane.dial();
    link.write(bytes);
    await assertServes(other);
    await link.when("the end", () => link.hasEnded || link.isClosed);
    assert.ok(link.acks.every((ack) => ack.startsWith("Server unavailable: ")));
    link.socket.destroy();
  }
  await plane.clock.advance(45_000);
  await eventually("the connections to go", () => plane.connections.open === 1);
});

test("1 000 truncated frames on 1 000 connections leave nothing behind and disturb nobody", async () => {
  await using plane = await start();
  const other = await plane.dial();
  const bytes = frame(PATH, encodeText("hello"));
  for (let batch = 0; batch < 10; batch++) {
    const links = await Promise.all(Array.from({ length: 100 }, () => plane.dial()));
    for (const [i, link] of links.entries()) {
      link.write(bytes.subarray(0, i % bytes.length));
      if (i % 3 === 0) link.reset();
      else if (i % 3 === 1) link.fin();
      else link.socket.destroySoon();
    }
    await assertServes(other);
    await Promise.all(links.map((link) => link.closed()));
  }
  await eventually("the connections to go", () => plane.connections.open === 1);
  assert.equal(other.acks.length, 10);
});

test("half a frame held open is dropped when its time is up, not before; idle connections stay", async () => {
  await using plane = await start(echo);
  const [half, idle, slow] = [await plane.dial(), await plane.dial(), await plane.dial()];
  await eventually("the connections to come", () => plane.connections.open === 3);
  const bytes = frame(PATH, encodeText("late"));
  half.write(bytes.subarray(0, 10));
  slow.write(bytes.subarray(0, 10));
  await assertServes(idle);
  await plane.clock.advance(29_000);
  // A frame that becomes complete in time is answered, and the next one has its own time.
  slow.write(bytes.subarray(10), bytes.subarray(0, 10));
  assert.deepEqual(await slow.acked(1), ["late"]);
  await plane.clock.advance(11_000);
  await half.over();
  half.socket.destroy();
  await plane.clock.advance(10_000);
  assert.equal(plane.connections.open, 2);
  slow.write(bytes.subarray(10));
  assert.deepEqual(await slow.acked(2), ["late", "late"]);
  await plane.clock.advance(600_000);
  await assertServes(idle);
  await assertServes(slow);
  assert.equal(half.bytes.length, 0);
});

test("a frame that trickles in does not extend its time", async () => {
  await using plane = await start();
  const link = await plane.dial();
  for (const byte of frame(PATH, new Uint8Array(100)).subarray(0, 5)) {
    const before = plane.connections.open;
    link.write(Uint8Array.of(byte));
    await new Promise((resolve) => setTimeout(resolve, 5));
    await plane.clock.advance(before === 0 ? 0 : 10_000);
  }
  await link.over();
});

test("a frontend that ends its side is ended too", async () => {
  await using plane = await start();
  const link = await plane.dial();
  link.write(frame());
  link.fin();
  await link.closed();
  assert.deepEqual(link.acks, [""]);
  await eventually("the connection to go", () => plane.connections.open === 0);
});

test("connect and close at once is harmless", async () => {
  await using plane = await start();
  for (let i = 0; i < 20; i++) (await plane.dial()).socket.destroy();
  await assertServes(await plane.dial());
  await eventually("the connections to go", () => plane.connections.open === 1);
  assert.deepEqual(plane.lines, []);
});

test("a frontend that does not read its acknowledgements is not read without bound, and loses none", async () => {
  const refusal = "Server unavailable: " + "x".repeat(8000);
  let taken = 0;
  await using plane = await start(() => (taken++, refusal));
  const link = await plane.dial();
  link.socket.pause();
  const sent = 4000;
  link.keepsBytes = false;
  const one = frame();
  const batch = concat(...Array.from({ length: 100 }, () => one));
  for (let i = 0; i < sent / 100; i++) link.write(batch);
  let before = -1;
  await eventually("the plane to stop reading", async () => {
    const isStill = taken === before && taken > 0;
    before = taken;
    await new Promise((resolve) => setTimeout(resolve, 150));
    return isStill;
  });
  assert.ok(taken < sent, `all ${sent} were read`);
  link.socket.resume();
  await eventually("every acknowledgement", () => link.received === sent * (4 + refusal.length), 30_000);
  assert.equal(taken, sent);
});

test("disposing the plane drops its connections and stops its timer", async () => {
  await using plane = await start();
  const link = await plane.dial();
  await assertServes(link);
  assert.equal(plane.clock.pendingTimers, 1);
  await plane.plane[Symbol.asyncDispose]();
  await link.over();
  assert.equal(plane.clock.pendingTimers, 0);
  await assert.rejects(plane.dial());
});

test("a port in use is told with the address and the option", async () => {
  await using plane = await start();
  const port = Number(plane.address.split(":")[1]);
  const { net } = realPlatform;
  const log = createLog({ wallTime: () => 0, write: () => {} });
  const host = { bind: "127.0.0.1", advertise: "127.0.0.1" };
  await assert.rejects(
    openTcpRequestPlane({ net, clock: plane.clock, log, host, port, maxMessageBytes: MAX }),
    (error: Error) => error.message.includes(plane.address) && error.message.includes("DYN_TCP_RPC_PORT"),
  );
});
