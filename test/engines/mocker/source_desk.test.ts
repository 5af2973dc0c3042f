/** What comes to the port of a prefill engine; whatever it is, nothing stays. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeFrame, FrameReader } from "../../../engines/mocker/bootstrap/frame.ts";
import type { Message, SessionIdentity } from "../../../engines/mocker/bootstrap/message.ts";
import type { Link } from "../../../engines/mocker/live/bootstrap_net.ts";
import { withHeader } from "../../support/bootstrap_session.ts";
import {
  aMoment,
  assertNothingLeft,
  bothEngines,
  end,
  failure,
  leg,
  meeting,
  PORT,
} from "../../support/handoff_rig.ts";
import { MemoryBootstrapNet } from "../../support/memory_bootstrap_net.ts";
import { promptOf, startMockerRigOn } from "../../support/mocker_rig.ts";

/** Frames of a decode worker that is none of ours. */
function register(number: number, more: object = {}, order = "SourceFirst"): Uint8Array {
  const registration = { role: "Destination", dp_rank: 0, order, engine_type: "vllm" };
  return withHeader(frame(number, { Register: registration } as Message, more));
}

function frame(number: number, message: Message, more: object = {}): Uint8Array {
  const { handoff_id, bootstrap_room } = meeting(number);
  return encodeFrame({ handoff_id, bootstrap_room, request_id: handoff_id, ...more } as SessionIdentity, message);
}

interface Visit {
  readonly heard: Message[];
  readonly link: Link;
  isOver: boolean;
}

/** A connection to the prefill worker that says these bytes. */
function visit(net: MemoryBootstrapNet, ...said: readonly Uint8Array[]): Visit {
  const reader = new FrameReader(false);
  const link = net.dial("", PORT, {
    data: (bytes) => void visited.heard.push(...reader.push(bytes).map(({ message }) => message)),
    lost: () => visited.isOver = true,
  });
  const visited: Visit = { heard: [], link, isOver: false };
  for (const bytes of said) link.send(bytes);
  return visited;
}

test("a session has its time, and that of the transfer", async () => {
  const net = new MemoryBootstrapNet();
  const json = JSON.stringify({
    engine: { kv_transfer_bytes_per_token: 1000, kv_transfer_bandwidth: 0.001 },
    dynamo: { bootstrap_port: PORT, handoff_session_timeout_ms: 50 },
  });
  const prefill = await startMockerRigOn(net, "--disaggregation-mode", "prefill", "--extra-engine-args", json);
  const decode = await startMockerRigOn(net, "--disaggregation-mode", "decode", "--extra-engine-args", json);
  // 82 ms in all, of which 64 do not count.
  const legs = await Promise.all([leg(prefill, 1, promptOf(1, 64)), leg(decode, 1, promptOf(1, 64))]);
  assert.deepEqual(legs.map(end), ["length", "length"]);
  const begin = net.clock.now();
  const visitor = visit(net, register(2));
  assert.match(failure(await leg(prefill, 2, promptOf(1, 64))), /takes too long/);
  const waited = net.clock.now() - begin;
  assert.ok(waited >= 114 && waited < 117, `${waited}`);
  await net.clock.nextTurn();
  assert.match(JSON.stringify(visitor.heard.at(-1)), /Abort.*takes too long/);
  await assertNothingLeft(net, prefill, decode);
});

const STRANGERS: readonly (readonly [what: string, said: readonly Uint8Array[], told: RegExp, fails: boolean])[] = [
  ["another protocol", [new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n")], /^$/, false],
  ["half a header", [withHeader().subarray(0, 3)], /^$/, false],
  ["a header only", [withHeader()], /^$/, false],
  ["a frame that is none", [withHeader(Uint8Array.of(1, 0, 0, 0, 0x7b))], /^$/, false],
  ["a frame that is too long", [withHeader(Uint8Array.of(0, 0, 0, 1))], /^$/, false],
  ["no registration", [withHeader(frame(1, "Complete"))], /first frame has to register/, false],
  ["another room", [register(1, { bootstrap_room: 5n })], /identity, order or engine type differ/, true],
  ["another request", [register(1, { request_id: meeting(9).handoff_id })], /identity, order/, true],
  ["another order", [register(1, {}, "DestinationFirst")], /identity, order/, true],
  ["another identity later", [register(1), frame(2, "Complete")], /Abort.*another session/, true],
  ["garbage later", [register(1), Uint8Array.of(0, 0, 0, 0)], /Abort.*a frame of 0 bytes/, true],
  ["a word of the other side", [register(1), frame(1, "Registered")], /Abort.*not its part/, true],
  ["an abort", [register(1), frame(1, { Abort: { message: "enough" } })], /enough/, true],
];

for (const [what, said, told, fails] of STRANGERS) {
  test(`a connection with ${what} is ended, ${fails ? "and the request with it" : "and the request waits on"}`, async () => {
    const { net, prefill, decode } = await bothEngines();
    const source = leg(prefill, 1, promptOf(1, 64));
    await aMoment(net);
    const stranger = visit(net, ...said);
    await aMoment(net);
    if (!fails) {
      const rest = await Promise.all([source, leg(decode, 1, promptOf(1, 64))]);
      assert.deepEqual(rest.map(end), ["length", "length"]);
      await net.clock.sleepUntil(net.clock.now() + 30_000);
    } else {
      assert.match(failure(await source), /not handed over/);
      await aMoment(net);
    }
    assert.equal(stranger.isOver, true);
    assert.match(stranger.heard.map((message) => JSON.stringify(message)).join(" "), told);
    await assertNothingLeft(net, prefill, decode);
  });
}

test("who comes twice is refused, and the first goes on", async () => {
  const { net, prefill, decode } = await bothEngines();
  const first = visit(net, register(1));
  await aMoment(net);
  const second = visit(net, register(1));
  await aMoment(net);
  assert.match(JSON.stringify(second.heard), /ProtocolError.*has its destination/);
  assert.deepEqual([first.isOver, second.isOver], [false, true]);
  first.link.close();
  await aMoment(net);
  assert.match(
    failure(await leg(prefill, 1, promptOf(1, 64))),
    /the hand-over is over/,
    "nobody waits for who has left",
  );
  await assertNothingLeft(net, prefill, decode);
});

test("a rank has as many hand-overs as requests; more decode workers are overloaded", async () => {
  const { net, prefill, decode } = await bothEngines("--max-num-seqs", "2");
  const visitors = [1, 2, 3].map((number) => visit(net, register(number)));
  await aMoment(net);
  assert.deepEqual(visitors.map(({ heard }) => heard), [[], [], ["Overloaded"]]);
  assert.match(failure(await leg(decode, 4, promptOf(1, 64))), /prefill worker is overloaded/);
  assert.match(failure(await leg(prefill, 5, promptOf(1, 64))), /too many hand-overs/);
  for (const { link } of visitors) link.close();
  await aMoment(net);
  const waiting = [6, 7].map((number) => leg(prefill, number, promptOf(1, 64)));
  await aMoment(net);
  await assert.rejects(leg(prefill, 8, promptOf(1, 64)), { kind: "CannotConnect", message: /its limit/ });
  await Promise.all(waiting);
  await assertNothingLeft(net, prefill, decode);
});

test("connections that never register are few, and one more is told so", async () => {
  const { net, prefill, decode } = await bothEngines("--max-num-seqs", "2");
  const silent = [1, 2].map(() => visit(net, withHeader()));
  const late = visit(net, register(3));
  await aMoment(net);
  assert.deepEqual(late.heard, ["Overloaded"]);
  const more = [visit(net, withHeader()), visit(net, register(5))];
  await aMoment(net);
  assert.deepEqual(more.map(({ isOver, heard }) => [isOver, heard.length]), [[false, 0], [true, 0]]);
  await net.clock.sleepUntil(net.clock.now() + 30_000);
  assert.ok([...silent, ...more].every(({ isOver }) => isOver));
  await assertNothingLeft(net, prefill, decode);
});
