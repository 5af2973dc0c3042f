/** The response plane against a network in memory, so that every write and every timer can be counted. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Conn, ConnHandlers, Net, SocketAddress } from "../../src/platform/platform.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { encodeFrontendWord } from "../../src/protocol/control.ts";
import { openTcpResponsePlane } from "../../src/response_plane/tcp.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** The worker's side of a connection that ends in this test. */
class FakeConn implements Conn {
  readonly remote = "10.0.0.1:1";
  pendingBytes = 0;
  readonly writes: number[] = [];
  readonly handlers: ConnHandlers;
  isOpenForMore = true;
  ends = 0;
  isDestroyed = false;

  constructor(handlers: ConnHandlers) {
    this.handlers = handlers;
  }

  write(bytes: Uint8Array): boolean {
    this.writes.push(bytes.length);
    return this.isOpenForMore;
  }

  end(): void {
    this.ends++;
  }

  destroy(): void {
    if (this.isDestroyed) return;
    this.isDestroyed = true;
    this.handlers.closed();
  }

  setReading(): void {}
}

type Dial = (conn: () => FakeConn, signal: AbortSignal) => Promise<Conn>;

function start(coalesceMs = 0, dial: Dial = (conn) => Promise.resolve(conn())) {
  const clock = new FakeClock();
  const conns: FakeConn[] = [];
  const addresses: SocketAddress[] = [];
  const net: Net = {
    ...realPlatform.net,
    dial: (address, handlers, signal) => {
      addresses.push(address);
      return dial(() => {
        const conn = new FakeConn(handlers);
        conns.push(conn);
        return conn;
      }, signal!);
    },
  };
  const plane = openTcpResponsePlane({ net, clock, connectTimeoutMs: 5000, coalesceMs });
  const reasons: string[] = [];
  const open = () => plane.open({ address: "10.0.0.1:80", subject: "s" }, (reason) => void reasons.push(reason));
  return { clock, conns, addresses, plane, reasons, open };
}

const FRAME = new Uint8Array(100);

test("open() dials the address and says whom it answers", async () => {
  const { clock, conns, addresses, open } = start();
  const stream = await open();
  await clock.settle();
  assert.deepEqual(addresses, [{ host: "10.0.0.1", port: 80 }]);
  assert.equal(conns[0]!.writes.length, 1);
  assert.equal(stream.sentBytes, conns[0]!.writes[0]);
  assert.equal(clock.pendingTimers, 0);
});

test("all frames that become ready in one turn leave in one write", async () => {
  const { clock, conns, open } = start();
  const stream = await open();
  for (let i = 0; i < 10; i++) {
    stream.buffer.append(FRAME);
    stream.commit();
  }
  await clock.settle();
  assert.equal(conns[0]!.writes.length, 1);
  stream.buffer.append(FRAME);
  stream.commit();
  await clock.settle();
  assert.deepEqual(conns[0]!.writes.slice(1), [100]);
});

test("while the process is busy frames wait for company, but no longer than they may, and the last ones never", async () => {
  const { clock, conns, open } = start(5);
  const stream = await open();
  const send = async () => {
    stream.buffer.append(FRAME);
    stream.commit();
    await clock.advance(1);
  };
  await send();
  await send();
  clock.isBusy = true;
  const before = conns[0]!.writes.length;
  for (let i = 0; i < 10; i++) await send();
  const writes = conns[0]!.writes.slice(before);
  assert.ok(writes.length >= 1 && writes.length <= 4, `${writes.length} writes`);
  await clock.advance(20);
  stream.buffer.append(FRAME);
  stream.commit();
  stream.end();
  await clock.settle();
  assert.equal(conns[0]!.writes.reduce((sum, bytes) => sum + bytes, 0), stream.sentBytes);
  assert.equal(stream.buffer.length, 0);
});

test("a stream is full at 64 frames until the turn ends", async () => {
  const { clock, open } = start();
  const stream = await open();
  await clock.settle();
  for (let i = 0; i < 64; i++) {
    assert.equal(stream.isFull, false);
    stream.buffer.append(FRAME);
    stream.commit();
  }
  assert.equal(stream.isFull, true);
  await stream.drained();
  assert.equal(stream.isFull, false);
});

test("a socket that asks to wait keeps the stream full until it drains", async () => {
  const { clock, conns, open } = start();
  const stream = await open();
  await clock.settle();
  conns[0]!.isOpenForMore = false;
  stream.buffer.append(FRAME);
  stream.commit();
  await clock.settle();
  assert.equal(stream.isFull, true);
  let isDrained = false;
  const drained = stream.drained().then(() => isDrained = true);
  await clock.settle();
  assert.equal(isDrained, false);
  conns[0]!.handlers.drain!();
  await drained;
  assert.equal(stream.isFull, false);
});

test("drained() ends when the connection does", async () => {
  const { clock, conns, open, reasons } = start();
  const stream = await open();
  conns[0]!.isOpenForMore = false;
  await clock.settle();
  const drained = stream.drained();
  conns[0]!.destroy();
  await drained;
  assert.equal(stream.isClosed, true);
  assert.deepEqual(reasons, ["disconnect"]);
  await stream.drained();
});

test("the first thing a frontend does is the one reason, and nothing is one after end()", async () => {
  for (const first of ["stop", "kill", "close"] as const) {
    const { conns, open, reasons } = start();
    await open();
    if (first === "close") conns[0]!.destroy();
    else conns[0]!.handlers.data(encodeFrontendWord(first));
    conns[0]!.handlers.data(encodeFrontendWord("kill"));
    conns[0]!.destroy();
    assert.deepEqual(reasons, [first === "close" ? "disconnect" : first]);
  }
  const { conns, open, reasons, clock } = start();
  const stream = await open();
  stream.end();
  conns[0]!.handlers.data(encodeFrontendWord("kill"));
  conns[0]!.destroy();
  await clock.settle();
  assert.deepEqual(reasons, []);
});

test("the end of the frontend's side is no reason, and is answered with ours once all is said", async () => {
  const { clock, conns, open, reasons } = start();
  const stream = await open();
  conns[0]!.handlers.end!();
  await clock.settle();
  assert.equal(conns[0]!.ends, 0);
  stream.buffer.append(FRAME);
  stream.commit();
  stream.end();
  await clock.settle();
  assert.equal(conns[0]!.ends, 1);
  assert.deepEqual(reasons, []);
});

test("end() waits 10 s for the frontend to close, hangUp() closes our side at once", async () => {
  const { clock, conns, open } = start();
  const stream = await open();
  stream.end();
  await clock.settle();
  assert.equal(conns[0]!.ends, 0);
  await clock.advance(9999);
  assert.equal(conns[0]!.isDestroyed, false);
  await clock.advance(1);
  assert.equal(conns[0]!.isDestroyed, true);
  const other = await open();
  other.hangUp();
  await clock.settle();
  assert.equal(conns[1]!.ends, 1);
  conns[1]!.handlers.closed();
  assert.equal(clock.pendingTimers, 0);
});

test("a frontend that reads on after the end, however slowly, is not cut off", async () => {
  const { clock, conns, open } = start();
  const stream = await open();
  conns[0]!.pendingBytes = 1000;
  stream.end();
  await clock.settle();
  for (const left of [500, 100]) {
    conns[0]!.pendingBytes = left;
    await clock.advance(10_000);
    assert.equal(conns[0]!.isDestroyed, false);
  }
  await clock.advance(10_000);
  assert.equal(conns[0]!.isDestroyed, true);
  assert.equal(clock.pendingTimers, 0);
});

test("a dial without an answer is given up at the deadline, with the address", async () => {
  const { clock, open } = start(
    0,
    (_conn, signal) => new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  );
  const opening = assert.rejects(open(), { message: "Cannot dial 10.0.0.1:80: no answer within 5000 ms" });
  await clock.advance(5000);
  await opening;
  assert.equal(clock.pendingTimers, 0);
});

test("when local ports are used up the dial is tried again every 200 ms until the deadline", async () => {
  let tries = 0;
  const failure = () => Object.assign(new Error("EADDRNOTAVAIL"), { code: "EADDRNOTAVAIL" });
  const { clock, open } = start(0, (conn) => ++tries < 4 ? Promise.reject(failure()) : Promise.resolve(conn()));
  const opening = open();
  await clock.advance(599);
  assert.equal(tries, 3);
  await clock.advance(1);
  await opening;
  assert.equal(tries, 4);
  const never = start(0, (_conn, signal) => Promise.reject(signal.aborted ? signal.reason : failure()));
  const failing = assert.rejects(never.open(), { message: /no answer within 5000 ms/ });
  await never.clock.advance(6000);
  await failing;
  assert.equal(never.clock.pendingTimers, 0);
});

test("any other failure of the dial is told at once", async () => {
  const { open, clock } = start(0, () => Promise.reject(Object.assign(new Error("no"), { code: "ECONNREFUSED" })));
  await assert.rejects(open(), { message: "no" });
  assert.equal(clock.pendingTimers, 0);
});

test("disposing lets ended streams get their bytes out for a moment, then drops every connection", async () => {
  const { clock, conns, plane, open } = start();
  const [first, second] = [await open(), await open()];
  first.end();
  await clock.settle();
  const disposing = plane[Symbol.asyncDispose]();
  await clock.advance(499);
  assert.deepEqual(conns.map((conn) => conn.isDestroyed), [false, false]);
  await clock.advance(1);
  await disposing;
  assert.deepEqual(conns.map((conn) => conn.isDestroyed), [true, true]);
  assert.equal(second.isClosed, true);
  assert.equal(clock.pendingTimers, 0);
});

test("disposing waits as long as a frontend reads on", async () => {
  const { clock, conns, plane, open } = start();
  const stream = await open();
  conns[0]!.pendingBytes = 1000;
  stream.end();
  await clock.settle();
  const disposing = plane[Symbol.asyncDispose]();
  for (const left of [900, 300, 0]) {
    conns[0]!.pendingBytes = left;
    await clock.advance(500);
    assert.equal(conns[0]!.isDestroyed, false);
  }
  await clock.advance(500);
  await disposing;
  assert.equal(conns[0]!.isDestroyed, true);
});

test("disposing does not wait when every stream is gone", async () => {
  const { clock, conns, plane, open } = start();
  (await open()).end();
  await clock.settle();
  const disposing = plane[Symbol.asyncDispose]();
  conns[0]!.destroy();
  await disposing;
  assert.equal(clock.now(), 0);
});
