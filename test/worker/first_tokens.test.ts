/** What routers hear when requests have their first token. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MemStore, openMemDiscovery } from "../../src/discovery/mem.ts";
import { SILENT } from "../../src/observe/log.ts";
import { ActiveRequest } from "../../src/pipeline/active_request.ts";
import { createEngineClock } from "../../src/pipeline/engine_clock.ts";
import { realPlatform } from "../../src/platform/real.ts";
import type { RequestHead } from "../../src/protocol/control.ts";
import { decodeActiveSequences } from "../../src/protocol/load_event.ts";
import type { GenerateRequest } from "../../src/protocol/request.ts";
import type { Planes } from "../../src/worker/backends.ts";
import { openFirstTokens } from "../../src/worker/first_tokens.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { makeFakeEvents } from "../support/fake_events.ts";

const NAME = { namespace: "dynamo", component: "backend", endpoint: "generate" };

async function rig(batchesSequences = true) {
  const clock = new FakeClock();
  const events = makeFakeEvents(batchesSequences);
  const store = new MemStore();
  const discovery = await openMemDiscovery(store, realPlatform);
  const tokens = await openFirstTokens(events, { discovery } as unknown as Planes, NAME, clock);
  const [{ payloads }] = events.publishers as [typeof events.publishers[0]];
  let count = 0;
  /** A request that a router placed on a rank, or not. */
  const request = (routing: { readonly dp_rank?: number | null }) => {
    const head = { id: `r${++count}`, metadata: {} } as unknown as RequestHead;
    const active = new ActiveRequest(head, {}, createEngineClock(clock), SILENT);
    tokens.follow({ routing } as unknown as GenerateRequest, active);
    return active;
  };
  const told = () => payloads.map((payload) => decodeActiveSequences(payload).map(({ request_id }) => request_id));
  return { clock, events, store, discovery, tokens, payloads, request, told };
}

test("the first token of a request with a rank is told, once; without a rank it is nobody's business", async () => {
  const { clock, payloads, request, discovery } = await rig();
  const placed = request({ dp_rank: 3 });
  const others = [request({}), request({ dp_rank: null })];
  await clock.advance(10);
  assert.deepEqual(payloads, [], "there is no token yet");
  for (const each of [placed, ...others, placed]) each.notifyFirstToken();
  await clock.advance(10);
  assert.equal(payloads.length, 1);
  assert.deepEqual(decodeActiveSequences(payloads[0]!), [{
    request_id: "r1",
    worker: { worker_id: discovery.instanceId, dp_rank: 3 },
    data: "MarkPrefillCompleted",
    router_id: discovery.instanceId,
    lora_name: null,
  }]);
});

test("tokens of a millisecond share a message, of 256 at most", async () => {
  const { clock, request, told } = await rig();
  for (let i = 0; i < 3; i++) request({ dp_rank: 0 }).notifyFirstToken();
  assert.deepEqual(told(), []);
  await clock.advance(1);
  assert.deepEqual(told(), [["r1", "r2", "r3"]]);
  for (let i = 0; i < 257; i++) request({ dp_rank: 0 }).notifyFirstToken();
  assert.deepEqual(told().map((each) => each.length), [3, 256], "a full message does not wait");
  await clock.advance(1);
  assert.deepEqual(told().map((each) => each.length), [3, 256, 1]);
  assert.equal(clock.pendingTimers, 0);
});

test("over NATS each is a message of its own, at once", async () => {
  const { clock, request, payloads } = await rig(false);
  for (let i = 0; i < 2; i++) request({ dp_rank: 0 }).notifyFirstToken();
  assert.equal(payloads.length, 2);
  assert.equal(payloads[0]![0]! & 0xf0, 0x80, "a map, the event itself");
  assert.ok(!new TextDecoder().decode(payloads[0]!).includes("events"));
  assert.equal(clock.pendingTimers, 0);
});

test("the channel is in discovery until the end, and what waits is sent then", async () => {
  const { clock, events, store, tokens, request, told } = await rig();
  const path = "namespace/dynamo/component/backend/endpoint/generate/topic/active_sequences_events/1";
  assert.deepEqual(store.list("v1/event_channels").map(({ key }) => key.path), [path]);
  request({ dp_rank: 0 }).notifyFirstToken();
  await tokens[Symbol.asyncDispose]();
  assert.deepEqual(told(), [["r1"]]);
  assert.deepEqual([store.list("v1/event_channels"), events.publishers[0]!.isClosed, clock.pendingTimers], [
    [],
    true,
    0,
  ]);
});
