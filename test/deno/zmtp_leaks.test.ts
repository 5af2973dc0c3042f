/** Deno's sanitizers watch ZMTP sockets: every connection, listener, timer and dial must be gone again. */
import assert from "node:assert/strict";
import { realPlatform } from "../../src/platform/real.ts";
import { openDealer } from "../../src/zmtp/dealer.ts";
import { openPub } from "../../src/zmtp/pub.ts";
import { openSub } from "../../src/zmtp/sub.ts";
import { eventually } from "../support/worker_rig.ts";

const { net, clock, random } = realPlatform;
const parts = { net, clock, random, heartbeat: { intervalMs: 20 }, lingerMs: 200 };
const topic = new TextEncoder().encode("kv");

Deno.test("sockets that talked, were paused, restarted or never reached anybody leave nothing", async () => {
  {
    await using pub = openPub(parts);
    const endpoint = await pub.bind("tcp://127.0.0.1:*");
    let count = 0;
    const onMessage = () => void count++;
    await using lost = openSub({ ...parts, topics: ["kv"], onMessage });
    lost.connect("tcp://127.0.0.1:1");
    await using wrong = openDealer({ ...parts, endpoint, onMessage });
    for (let i = 0; i < 3; i++) {
      await using sub = openSub({ ...parts, topics: ["kv"], onMessage });
      sub.connect(endpoint);
      assert.ok(await pub.subscribed("kv"));
      pub.publish([topic]);
      await eventually("the message", () => count === i + 1);
      sub.setReading(i === 2);
      await sub[Symbol.asyncDispose]();
      await eventually("the end of the subscription", () => !pub.hasSubscriber("kv"));
    }
    assert.equal(wrong.isReady, false);
    void pub.subscribed("never");
  }
});

Deno.test("a socket that is closed at any moment of connecting leaves nothing", async () => {
  await using pub = openPub(parts);
  const endpoint = await pub.bind("tcp://127.0.0.1:*");
  for (let turns = 0; turns < 12; turns++) {
    const sub = openSub({ ...parts, topics: ["kv"], onMessage() {} });
    sub.connect(endpoint);
    for (let i = 0; i < turns; i++) await new Promise<void>((resolve) => clock.endOfTurn(resolve));
    await sub[Symbol.asyncDispose]();
  }
});
