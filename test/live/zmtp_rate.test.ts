/**
 * Messages a second beside pyzmq's own, in one run, alternating; what counts is the ratio. Prints, and asserts only that
 * nothing was lost.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { realPlatform } from "../../src/platform/real.ts";
import { openPub } from "../../src/zmtp/pub.ts";
import { openSub } from "../../src/zmtp/sub.ts";
import { requirePeers } from "../support/peers.ts";
import { pause, until } from "../support/processes.ts";
import { type Count, counted, startZmq } from "../support/zmq_peer.ts";
import { bytes } from "../support/zmtp_peer.ts";

const { net, clock, random } = realPlatform;
const parts = { net, clock, random };
const ANY = "tcp://127.0.0.1:*";
const ROUNDS = 3;
/** Most messages between the loop and the subscriber, well below the high-water mark. */
const MOST_WAITING = 20_000;

interface Load {
  readonly messages: number;
  /** Length of the last of four parts. @unit bytes */
  readonly size: number;
}

const LOADS: readonly Load[] = [{ messages: 100_000, size: 300 }, { messages: 20_000, size: 10_000 }];

async function theirsToTheirs(load: Load): Promise<Count> {
  await using pub = flood(load);
  await using sub = startZmq("count", (await pub.waitFor(/bound (\S+)/, 20_000))[1]!);
  return await counted(sub);
}

async function oursToTheirs({ messages, size }: Load): Promise<Count> {
  await using pub = openPub({ ...parts, highWaterMark: { bytes: 1 << 30 } });
  await using sub = startZmq("count", await pub.bind(ANY));
  await until("the subscriber", 20_000, () => pub.hasSubscriber("kv-events"));
  const [topic, id, payload, number] = [bytes("kv-events"), bytes("12345678"), new Uint8Array(size), new Uint8Array(8)];
  const view = new DataView(number.buffer);
  for (let i = 0; i < messages; i++) {
    view.setUint32(4, i);
    pub.publish([topic, number, id, payload]);
    if (i % 100 !== 99) continue;
    await new Promise<void>((resolve) => clock.endOfTurn(resolve));
    while (pub.stats.waitingMessages > MOST_WAITING) await pause(1);
  }
  pub.publish([topic, bytes("end"), id, payload]);
  return await counted(sub);
}

async function theirsToOurs(load: Load): Promise<Count> {
  await using pub = flood(load);
  const sum = { messages: 0, bytes: 0, gaps: 0, seconds: 0 };
  let began = 0;
  let ended = 0;
  await using sub = openSub({
    ...parts,
    topics: [""],
    onMessage(parts) {
      if (began === 0) began = clock.now();
      const number = parts[1]!;
      if (number.length === 3) return void (ended = clock.now());
      const value = number[4]! * 2 ** 24 + ((number[5]! << 16) | (number[6]! << 8) | number[7]!);
      if (value !== sum.messages++) sum.gaps++;
      for (const part of parts) sum.bytes += part.length;
    },
  });
  sub.connect((await pub.waitFor(/bound (\S+)/, 20_000))[1]!);
  await until("all messages", 60_000, () => ended > 0);
  return { ...sum, seconds: (ended - began) / 1000 };
}

function flood({ messages, size }: Load) {
  return startZmq("flood", ANY, { bind: "1", messages: `${messages}`, size: `${size}` });
}

const WAYS = { "pyzmq to pyzmq": theirsToTheirs, "ours to pyzmq": oursToTheirs, "pyzmq to ours": theirsToOurs };

for (const load of LOADS) {
  test(`${load.messages} messages of four parts, ${load.size} bytes the last`, { timeout: 180_000 }, async (t) => {
    if (!requirePeers(t)) return;
    const rates = new Map<string, number[]>();
    for (let round = 0; round < ROUNDS; round++) {
      for (const [name, run] of Object.entries(WAYS)) {
        const { messages, gaps, seconds } = await run(load);
        assert.deepEqual([messages, gaps], [load.messages, 0], name);
        rates.set(name, [...(rates.get(name) ?? []), messages / seconds]);
      }
    }
    const median = (name: string) => rates.get(name)!.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)]!;
    for (const name of rates.keys()) {
      const rate = median(name);
      const megabytes = rate * (load.size + 25) / 1e6;
      const ratio = rate / median("pyzmq to pyzmq");
      console.log(
        `${name}: ${rate.toFixed(0)} messages/s, ${megabytes.toFixed(0)} MB/s, ${ratio.toFixed(2)} of pyzmq's`,
      );
    }
  });
}
