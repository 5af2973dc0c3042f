import assert from "node:assert/strict";
import { test } from "node:test";
import type { Conn, ConnHandlers, Net } from "../../src/platform/platform.ts";
import { openTcpResponsePlane } from "../../src/response_plane/tcp.ts";
import type { ResponseStream } from "../../src/response_plane/response_plane.ts";
import { FakeClock } from "../support/fake_clock.ts";

const FRAME = new Uint8Array(10);

/** A stream over a connection that only notes the length of each write. */
async function openStream(clock: FakeClock, coalesceMs = 1): Promise<{ out: ResponseStream; writes: number[] }> {
  const writes: number[] = [];
  const conn: Conn = {
    remote: "test",
    pendingBytes: 0,
    write: (bytes) => writes.push(bytes.length) > 0,
    end() {},
    destroy() {},
    setReading() {},
  };
  const net: Net = {
    listen: () => Promise.reject(new Error("not needed")),
    dial: (_address, _handlers: ConnHandlers) => Promise.resolve(conn),
    interfaces: () => [],
  };
  const plane = openTcpResponsePlane({ net, clock, connectTimeoutMs: 1000, coalesceMs });
  return { out: await plane.open({ address: "127.0.0.1:1", subject: "s" }, () => {}), writes };
}

async function commit(clock: FakeClock, out: ResponseStream): Promise<void> {
  out.buffer.append(FRAME);
  out.commit();
  await clock.settle();
}

test("frames of one turn leave in one write", async () => {
  const clock = new FakeClock();
  const { out, writes } = await openStream(clock);
  for (let i = 0; i < 3; i++) {
    out.buffer.append(FRAME);
    out.commit();
  }
  await clock.settle();
  assert.equal(writes.length, 1);
});

test("a worker with time to spare sends each turn's frames at its end", async () => {
  const clock = new FakeClock();
  const { out, writes } = await openStream(clock);
  await clock.settle();
  for (let i = 0; i < 5; i++) await commit(clock, out);
  assert.deepEqual(writes.slice(1), [10, 10, 10, 10, 10]);
});

test("while it is busy, handshake and first token go at once and later frames wait for company", async () => {
  const clock = new FakeClock();
  const { out, writes } = await openStream(clock);
  clock.isBusy = true;
  await clock.settle();
  await commit(clock, out);
  assert.equal(writes.length, 2, "the first two writes do not wait");
  out.buffer.append(FRAME);
  out.commit();
  await clock.advance(0.5);
  out.buffer.append(FRAME);
  out.commit();
  assert.equal(writes.length, 2, "not yet");
  await clock.advance(0.6);
  await clock.settle();
  assert.deepEqual(writes.slice(2), [20], "both, once the first has waited its time");
});

test("the last frames never wait, and 64 are enough", async () => {
  const clock = new FakeClock();
  const { out, writes } = await openStream(clock);
  clock.isBusy = true;
  await clock.settle();
  await commit(clock, out);
  for (let i = 0; i < 64; i++) {
    out.buffer.append(FRAME);
    out.commit();
  }
  assert.equal(out.isFull, true);
  await clock.settle();
  assert.deepEqual(writes.slice(2), [640]);
  out.buffer.append(FRAME);
  out.commit();
  out.end();
  await clock.settle();
  assert.deepEqual(writes.slice(3), [10]);
});

test("0 turns the waiting off", async () => {
  const clock = new FakeClock();
  const { out, writes } = await openStream(clock, 0);
  clock.isBusy = true;
  await clock.settle();
  for (let i = 0; i < 4; i++) await commit(clock, out);
  assert.deepEqual(writes.slice(1), [10, 10, 10, 10]);
});
