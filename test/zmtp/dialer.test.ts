import assert from "node:assert/strict";
import { test } from "node:test";
import { openPub } from "../../src/zmtp/pub.ts";
import { greet, makeRig } from "../support/zmtp_peer.ts";

const REFUSED = new Error("connection refused");

test("pauses double up to the longest, and begin anew once a peer was ready", async () => {
  const { clock, net, events, options } = makeRig();
  await using pub = openPub(options);
  net.dialFaults = Array(9).fill(REFUSED);
  pub.connect("tcp://broker:7");
  const pauses: number[] = [];
  for (let last = 0; pauses.length < 9;) {
    const before = net.dials.length;
    while (net.dials.length === before) await clock.advance(25);
    pauses.push(clock.now() - last);
    last = clock.now();
  }
  assert.deepEqual(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
  assert.deepEqual(net.dials[0], { host: "broker", port: 7 });
  assert.deepEqual(events[0], { kind: "unreachable", endpoint: "tcp://broker:7", remote: "", error: REFUSED });
  await greet(clock, net.dialled[0]!, "XSUB");
  net.dialled[0]!.hangUp();
  await clock.advance(100);
  assert.equal(net.dialled.length, 2);
});

test("a peer that is reached and never becomes ready is dialled with growing pauses", async () => {
  const { clock, net, options } = makeRig();
  await using pub = openPub(options);
  pub.connect("tcp://broker:7");
  await clock.settle();
  for (const pause of [100, 200, 400]) {
    const { length } = net.dials;
    net.dialled.at(-1)!.hangUp();
    await clock.advance(pause - 1);
    assert.equal(net.dials.length, length);
    await clock.advance(1);
    assert.equal(net.dials.length, length + 1);
  }
});

test("pauses are spread by chance", async () => {
  const dialled = await Promise.all([0, 0.999].map(async (number) => {
    const { clock, net, options } = makeRig();
    await using pub = openPub({ ...options, random: { ...options.random, number: () => number } });
    net.dialFaults = [REFUSED];
    pub.connect("tcp://broker:7");
    while (net.dials.length < 2) await clock.advance(1);
    return clock.now();
  }));
  assert.deepEqual(dialled, [75, 125]);
});

test("a dial that is not answered is given up and tried again", async () => {
  const { clock, net, events, options } = makeRig();
  await using pub = openPub(options);
  net.dialFaults = ["hang"];
  pub.connect("tcp://broker:7");
  await clock.advance(10_000);
  assert.match(events[0]!.error!.message, /No answer within 10000 ms/);
  await clock.advance(100);
  assert.equal(net.dialled.length, 1);
});

for (const stage of ["dialling", "pausing", "connected"] as const) {
  test(`what connect() returns ends it while it is ${stage}`, async () => {
    const { clock, net, events, options } = makeRig();
    await using pub = openPub(options);
    if (stage !== "connected") net.dialFaults = [stage === "dialling" ? "hang" : REFUSED];
    const link = pub.connect("tcp://broker:7");
    await clock.settle();
    if (stage === "connected") await greet(clock, net.dialled[0]!, "XSUB");
    const before = events.length;
    link[Symbol.dispose]();
    link[Symbol.dispose]();
    await clock.settle();
    if (stage === "connected") {
      assert.ok(net.dialled[0]!.isEnded);
      net.dialled[0]!.hangUp();
    }
    await clock.advance(60_000);
    assert.deepEqual([net.dials.length, clock.pendingTimers], [1, 0]);
    assert.equal(events.length - before, stage === "connected" ? 1 : 0);
  });

  test(`closing the socket ends it while it is ${stage}`, async () => {
    const { clock, net, options } = makeRig();
    const pub = openPub(options);
    if (stage !== "connected") net.dialFaults = [stage === "dialling" ? "hang" : REFUSED];
    pub.connect("tcp://broker:7");
    await clock.settle();
    if (stage === "connected") await greet(clock, net.dialled[0]!, "XSUB");
    const closing = pub[Symbol.asyncDispose]();
    net.dialled[0]?.hangUp();
    await closing;
    await clock.advance(60_000);
    assert.deepEqual([net.dials.length, clock.pendingTimers], [1, 0]);
    assert.throws(() => pub.connect("tcp://broker:7"), /closed/);
  });
}
