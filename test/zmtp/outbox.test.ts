import assert from "node:assert/strict";
import { test } from "node:test";
import { Outbox } from "../../src/zmtp/outbox.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { FakeConn } from "../support/fake_net.ts";
import { bytes, text } from "../support/zmtp_peer.ts";

function makeOutbox(mark = { messages: 1000, bytes: 1 << 20 }) {
  const clock = new FakeClock();
  const conn = new FakeConn("10.0.0.1:1");
  const outbox = new Outbox(conn, clock, mark);
  conn.handlers = { data() {}, drain: () => outbox.drain(), closed() {} };
  return { clock, conn, outbox, add: (message: string) => outbox.add(bytes(message), 0, bytes(message).length) };
}

test("what a turn adds leaves with one write", async () => {
  const { clock, conn, outbox } = makeOutbox();
  const region = bytes("one two three");
  outbox.add(region, 0, 4);
  outbox.add(region, 4, 8);
  outbox.add(region, 8, 13);
  assert.equal(conn.writes.length, 0);
  assert.deepEqual([outbox.messages, outbox.bytes], [3, 13]);
  await clock.settle();
  assert.equal(conn.writes.length, 1);
  assert.equal(text(conn.take()), "one two three");
  assert.deepEqual([outbox.messages, outbox.bytes, outbox.sent], [0, 0, 3]);
  outbox.add(region, 0, 4);
  outbox.addCommand(bytes("!"));
  outbox.add(region, 8, 13);
  await clock.settle();
  assert.equal(conn.writes.length, 1);
  assert.equal(text(conn.take()), "one !three");
});

test("much of a region is sent in place; little is copied, so that it holds no region", async () => {
  const { clock, conn, outbox } = makeOutbox();
  const region = new Uint8Array(64 * 1024);
  outbox.add(region, 0, 20_000);
  outbox.add(region, 20_000, 40_000);
  await clock.settle();
  outbox.add(region, 40_000, 40_100);
  await clock.settle();
  const [much, little] = conn.writes;
  assert.deepEqual([much!.buffer === region.buffer, much!.length], [true, 40_000]);
  assert.deepEqual([little!.buffer === region.buffer, little!.buffer.byteLength], [false, 100]);
});

test("a turn that goes from region to region is sent in place, region by region", async () => {
  const { clock, conn, outbox } = makeOutbox();
  const regions = [1, 2, 3].map((value) => new Uint8Array(200 * 1024).fill(value));
  for (const region of regions) {
    for (let at = 0; at < region.length; at += 1024) outbox.add(region, at, at + 1024);
  }
  await clock.settle();
  assert.equal(conn.writes.length, 3);
  assert.ok(conn.writes.every(({ buffer }, i) => buffer === regions[i]!.buffer));
});

test("a turn that adds much is sent before its end, in few writes", async () => {
  const { clock, conn, outbox } = makeOutbox({ messages: 1e6, bytes: 1 << 30 });
  const region = new Uint8Array(64 * 1024);
  for (let i = 0; i < 16 * 5 + 1; i++) {
    for (let at = 0; at < region.length; at += 4096) outbox.add(region, at, at + 4096);
  }
  assert.ok(conn.writes.length >= 15 && conn.writes.length <= 25, `${conn.writes.length} writes`);
  await clock.settle();
  assert.equal(conn.take().length, region.length * 81);
});

test("what waits is a copy, so that it holds no region", async () => {
  const { clock, conn, outbox } = makeOutbox();
  conn.reads = false;
  const region = new Uint8Array(60_000).fill(1);
  outbox.add(region, 0, 20_000);
  await clock.settle();
  outbox.add(region, 20_000, 60_000);
  await clock.settle();
  region.fill(2);
  conn.drain();
  const [given, waited] = conn.writes;
  assert.deepEqual([given![0], waited![0], waited!.buffer.byteLength], [2, 1, 40_000]);
});

test("a connection that does not read takes messages up to either high-water mark, then none", async () => {
  for (const mark of [{ messages: 5, bytes: 1e9 }, { messages: 1e9, bytes: 60 }]) {
    const { clock, conn, add, outbox } = makeOutbox(mark);
    conn.reads = false;
    assert.ok(add("0123456789"));
    await clock.settle();
    let taken = 0;
    while (add("0123456789")) {
      taken++;
      if (taken % 2 === 0) await clock.settle();
    }
    assert.equal(taken, 5);
    assert.equal(outbox.isLow, false);
    assert.equal(outbox.bytes, 60);
    await clock.settle();
    conn.drain();
    assert.deepEqual([outbox.bytes, outbox.messages, outbox.isLow], [0, 0, true]);
    assert.equal(conn.take().length, 60);
    assert.ok(add("again"));
  }
});

test("a message above the mark is taken when nothing else waits", () => {
  const { add } = makeOutbox({ messages: 1, bytes: 4 });
  assert.ok(add("longer than four"));
  assert.equal(add("x"), false);
});

test("what waited leaves in few writes, and stops as soon as the connection asks to wait again", async () => {
  const { clock, conn, outbox } = makeOutbox({ messages: 1e6, bytes: 1 << 30 });
  conn.reads = false;
  const region = new Uint8Array(1024);
  for (let i = 0; i < 1025; i++) {
    outbox.add(region, 0, 1024);
    await clock.settle();
  }
  assert.equal(conn.writes.length, 1);
  conn.pendingBytes = 0;
  outbox.drain();
  assert.deepEqual([conn.writes.length, conn.writes[1]!.length], [2, 256 * 1024]);
  conn.reads = true;
  outbox.drain();
  assert.equal(conn.writes.length, 5);
  assert.equal(conn.take().length, 1025 * 1024);
});

test("of answers that could not be sent only the last counts", async () => {
  const { clock, conn, add, outbox } = makeOutbox();
  outbox.answer(bytes("now "));
  await clock.settle();
  assert.equal(text(conn.take()), "now ");
  conn.reads = false;
  add("message ");
  await clock.settle();
  for (let i = 0; i < 1000; i++) outbox.answer(bytes(`answer ${i}`));
  assert.ok(outbox.bytes < 100);
  conn.reads = true;
  outbox.drain();
  assert.equal(text(conn.take()), "message answer 999");
});

test("end() sends what waits, then ends our side, and takes nothing more", async () => {
  const { clock, conn, add, outbox } = makeOutbox();
  add("this turn's");
  outbox.end();
  assert.equal(text(conn.take()), "this turn's");
  assert.ok(conn.isEnded);

  const slow = makeOutbox();
  slow.conn.reads = false;
  slow.add("a");
  await slow.clock.settle();
  slow.add("b");
  slow.outbox.end();
  slow.add("c");
  assert.equal(slow.conn.isEnded, false);
  slow.conn.reads = true;
  slow.outbox.drain();
  assert.equal(text(slow.conn.take()), "ab");
  assert.ok(slow.conn.isEnded);
  await clock.settle();
});
