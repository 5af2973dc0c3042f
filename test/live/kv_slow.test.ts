/**
 * A subscriber of events that stops reading slows neither the worker nor other subscribers.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { realPlatform } from "../../src/platform/real.ts";
import { decodeZmqFrames } from "../../src/protocol/event.ts";
import { decodeEventChannel } from "../../src/protocol/event_record.ts";
import { openSub } from "../../src/zmtp/sub.ts";
import { COMPLETIONS, type Frontend, startFrontend } from "../support/frontend.ts";
import { prompt, served } from "../support/kv_fleet.ts";
import { requirePeers, TINY_MODEL } from "../support/peers.ts";
import { freePort, memory, pause, until } from "../support/processes.ts";
import { startReadyStator } from "../support/stator.ts";
import { makeStore } from "../support/store.ts";
import { startZmq } from "../support/zmq_peer.ts";

const EVENTS = 2000;
/** Blocks of an event; it takes nine bytes for each. */
const BLOCKS = 4096;
const FLOOD = 7;
const { net, clock, random } = realPlatform;

/** Asks for one token; resolves with the time that took. @unit milliseconds */
async function ask(frontend: Frontend, max_tokens = 1): Promise<number> {
  const begin = performance.now();
  const { status } = await frontend.post(COMPLETIONS, { model: TINY_MODEL, prompt: prompt(0), max_tokens });
  assert.equal(status, 200);
  return performance.now() - begin;
}

test("a subscriber that stops reading is cut; the worker and others go on", { timeout: 180_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("kv-slow");
  const port = await freePort();
  await using frontend = await startFrontend(store);
  await using worker = await startReadyStator(store, {
    program: "test/support/kv_flood_engine.ts",
    env: {
      ...{ KV_FLOOD_MODEL: TINY_MODEL, KV_FLOOD_KIND: "removed" },
      // The subscriber of this test must not be slow as well, on whatever machine.
      ...{ KV_FLOOD_EVENTS: String(EVENTS), KV_FLOOD_BLOCKS: String(BLOCKS), KV_FLOOD_PAUSE_MS: "4" },
      ...{ DYN_EVENT_PLANE_HOST: "127.0.0.1", DYN_SYSTEM_PORT: String(port), STATOR_LOCAL_INDEXER: "0" },
    },
  });
  await served(store, frontend, 1);
  const channel = store.records().find(({ key }) => /event_channels.*kv-events/.test(key))!;
  const { transport } = decodeEventChannel(channel.text);
  assert.ok(transport.kind === "Zmq");
  await using stopped = startZmq("sub", transport.config.endpoint);
  const seen = { messages: 0, bytes: 0, gaps: 0, next: 0n };
  await using sub = openSub({
    ...{ net, clock, random, topics: ["kv-events"] },
    onMessage(frames) {
      const { sequence, payload } = decodeZmqFrames(frames).envelope;
      if (seen.messages > 0 && sequence !== seen.next) seen.gaps++;
      seen.next = sequence + 1n;
      seen.messages++;
      seen.bytes += payload.length;
    },
  });
  sub.connect(transport.config.endpoint);
  const metric = async (name: string) => {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    return Number(
      text.split("\n").find((line) => line.startsWith(name) && line.includes("kv-events"))?.split(" ").at(-1),
    );
  };
  // The third is the worker itself, which looks whether its first event can be read back.
  const areThere = async () => sub.stats.publishers === 1 && await connections(transport.config.endpoint) === 3;
  await until("both subscribers", 30_000, areThere);
  // A connection is there before its subscription is; who is stopped in between gets nothing to be slow with.
  await pause(1000);
  stopped.signal("SIGSTOP");
  const before = (await memory(worker.pid)).resident;
  const flooding = ask(frontend, FLOOD);
  const waits: number[] = [];
  const others = (async () => {
    let isOver = false;
    void flooding.finally(() => isOver = true);
    while (!isOver) waits.push(await ask(frontend));
  })();
  const flooded = await flooding;
  await others;
  await until("the last event", 60_000, () => seen.messages >= EVENTS + 1);
  const { peak } = await memory(worker.pid);
  const cut = await metric("stator_event_subscribers_cut_total");
  const dropped = await metric("stator_event_messages_dropped_total");
  const waiting = await metric("stator_event_waiting_bytes");
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(0);
  console.log(
    `${seen.messages} messages, ${megabytes(seen.bytes)} MB in ${flooded.toFixed(0)} ms, ${seen.gaps} gaps; ` +
      `${waits.length} requests meanwhile, the slowest ${Math.max(...waits).toFixed(0)} ms; ` +
      `resident ${megabytes(before)} MB, peak ${
        megabytes(peak)
      } MB; cut ${cut}, dropped ${dropped}, waiting ${waiting}`,
  );
  assert.deepEqual([seen.gaps, cut], [0, 1]);
  assert.ok(dropped > 0);
  assert.ok(waiting < 32 * 1024 * 1024, `${waiting}`);
  assert.ok(peak - before < 250e6, `${peak - before} bytes more`);
});

/** Connections that somebody has with an endpoint on this machine, from the system's own table. */
async function connections(endpoint: string): Promise<number> {
  const port = Number(endpoint.split(":").at(-1)).toString(16).toUpperCase().padStart(4, "0");
  const rows = (await readFile("/proc/net/tcp", "utf8")).split("\n");
  return rows.filter((row) => new RegExp(`^ *\\d+: \\w+:${port} \\w+:\\w+ 01 `).test(row)).length;
}
