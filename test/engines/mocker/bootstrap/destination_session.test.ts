import assert from "node:assert/strict";
import { test } from "node:test";
import { DestinationSession } from "../../../../engines/mocker/bootstrap/destination_session.ts";
import type { Message } from "../../../../engines/mocker/bootstrap/message.ts";
import type { TransferTiming } from "../../../../engines/mocker/handoff.ts";
import { CAPTURED_FRAMES, CAPTURED_IDENTITY } from "../../../support/bootstrap_session.ts";

const ID = CAPTURED_IDENTITY.handoff_id;
const TIMING: TransferTiming = {
  mode: "full_prompt",
  full_prompt_tokens: 64,
  kv_bytes_per_token: 1000,
  bandwidth_gb_s: 0.001,
};

/** A session whose every step is noted; room is there at once, if `missing` says how much. */
function session({ missing, refusal }: { missing?: number; refusal?: string } = {}) {
  const steps: unknown[] = [];
  const sent: Message[] = [];
  const made: DestinationSession = new DestinationSession(ID, {
    send: (message) => {
      sent.push(message);
      steps.push(typeof message === "string" ? message : JSON.stringify(message).replaceAll(/"|[{}]/g, ""));
    },
    registered: () => void steps.push("registered"),
    extend: (ms) => void steps.push(["extend", ms]),
    reserve: () => {
      steps.push("reserve");
      if (missing !== undefined) made.reserved(missing);
      return refusal;
    },
    activate: () => void steps.push("activate"),
    withdraw: () => void steps.push("withdraw"),
    over: (failure) => void steps.push(["over", failure]),
  });
  return { made, sent, taken: () => steps.splice(0) };
}

const held = (transfer_timing = TIMING, handoff_id = ID): Message => ({
  Fact: { SourceHeld: { handoff_id, transfer_timing } },
});
const action = (id: number, name: string, handoff_id = ID): Message => ({
  Action: { id, action: { [name]: { handoff_id } } },
});
const RESERVE = action(1, "ReserveDestination");
const ACTIVATE = action(3, "ActivateDestination");

test("the decode worker of the captured session says the same in the same order", () => {
  const { made, sent, taken } = session({ missing: 0 });
  for (const { from, message } of CAPTURED_FRAMES) {
    if (from === "prefill") made.receive(message);
    if (from === "prefill" && typeof message === "object" && "Action" in message && message.Action.id === 3) {
      made.activated();
    }
  }
  const decode = CAPTURED_FRAMES.filter(({ from }) => from === "decode").map(({ message }) => message);
  assert.deepEqual(sent, decode.slice(1));
  assert.deepEqual(taken().at(-1), ["over", undefined]);
});

test("room is told after it is accepted, also when it was there before, and only once", () => {
  const fact = `Fact:DestinationReserved:handoff_id:${ID},transferable_prompt_tokens:16`;
  const early = session({ missing: 16 });
  early.made.receive("Registered");
  early.made.receive(RESERVE);
  const accepted = "ActionAck:action_id:1,outcome:Accepted";
  assert.deepEqual(early.taken(), ["registered", "reserve", accepted, fact]);
  const late = session();
  late.made.receive("Registered");
  late.made.receive(RESERVE);
  assert.deepEqual(late.taken(), ["registered", "reserve", accepted]);
  late.made.reserved(16);
  late.made.reserved(32);
  assert.deepEqual(late.taken(), [fact]);
});

test("an action that is repeated is acknowledged again and done once", () => {
  const { made, taken } = session({ missing: 16 });
  made.receive("Registered");
  made.receive(RESERVE);
  taken();
  made.receive(RESERVE);
  assert.deepEqual(taken(), ["ActionAck:action_id:1,outcome:Accepted"]);
  made.receive(ACTIVATE);
  made.receive(ACTIVATE);
  assert.deepEqual(taken(), ["activate"]);
  made.activated();
  made.activated();
  made.receive(ACTIVATE);
  assert.deepEqual(taken(), ["ActionAck:action_id:3,outcome:Applied", "ActionAck:action_id:3,outcome:Applied"]);
});

test("the time of a session grows by that of the transfer, once it is known", () => {
  const { made, taken } = session({ missing: 16 });
  made.receive("Registered");
  made.receive(held());
  assert.deepEqual(taken(), ["registered", ["extend", 64]]);
  const missing = session({ missing: 16 });
  missing.made.receive("Registered");
  missing.made.receive(held({ ...TIMING, mode: "destination_missing" }));
  assert.deepEqual(missing.taken(), ["registered"]);
  missing.made.receive(RESERVE);
  assert.deepEqual(missing.taken().slice(0, 2), ["reserve", ["extend", 16]]);
});

test("what cannot be done is said and changes nothing", () => {
  const { made, taken } = session();
  made.receive("Registered");
  made.receive(ACTIVATE);
  made.receive(action(4, "ReleaseSource"));
  made.receive(action(5, "ReserveDestination", "x"));
  assert.deepEqual(taken().slice(1), [
    "ActionAck:action_id:3,outcome:Failed:there is no room that waits for a prompt",
    "ActionAck:action_id:4,outcome:Failed:not an action of a decode worker",
    `ActionAck:action_id:5,outcome:Failed:the hand-over is ${ID}`,
  ]);
});

test("room that can never be had is refused, and the session ends", () => {
  const { made, taken } = session({ refusal: "too long" });
  made.receive("Registered");
  made.receive(RESERVE);
  assert.deepEqual(taken().slice(2), [
    "ActionAck:action_id:1,outcome:Failed:too long",
    "Abort:message:too long",
    ["over", "too long"],
  ]);
});

test("a prefill worker may take its request back", () => {
  const { made, taken } = session({ missing: 16 });
  made.receive("Registered");
  made.receive(RESERVE);
  made.receive(ACTIVATE);
  made.activated();
  taken();
  made.receive(action(5, "CancelDestination"));
  assert.deepEqual(taken(), ["withdraw", "ActionAck:action_id:5,outcome:Applied"]);
  made.receive("Complete");
  assert.match(String(taken().at(-1)), /before the request decodes/);
});

const MANY = Array.from({ length: 17 }, (_, id) => action(id + 10, "ReleaseSource"));
const WRONG: readonly (readonly [what: string, messages: readonly Message[], why: RegExp])[] = [
  ["an abort", ["Registered", { Abort: { message: "gone" } }], /^gone$/],
  ["a protocol error", [{ ProtocolError: { message: "bad" } }], /^bad$/],
  ["too much to do", ["Overloaded"], /overloaded/],
  ["registering twice", ["Registered", "Registered"], /twice/],
  ["the message of a decode worker", ["Registered", { ActionAck: { action_id: 1, outcome: "Noop" } }], /not its part/],
  ["a prompt before registering", [held()], /before it registers/],
  ["the prompt of another", ["Registered", held(TIMING, "x")], /hand-over x/],
  ["a change of the transfer", ["Registered", held(), held({ ...TIMING, full_prompt_tokens: 65 })], /changes the time/],
  ["a transfer without end", ["Registered", held({ ...TIMING, bandwidth_gb_s: 5e-324 })], /never end/],
  ["the end before the beginning", ["Registered", RESERVE, "Complete"], /before the request decodes/],
  ["the end before activation", ["Registered", RESERVE, ACTIVATE, "Complete"], /before the request decodes/],
  ["two meanings of an action", ["Registered", RESERVE, action(1, "ActivateDestination")], /two meanings/],
  ["an action too early", ["Registered", RESERVE, ACTIVATE, action(5, "CancelDestination")], /before the last/],
  ["too many actions", ["Registered", ...MANY], /more than 16/],
];

for (const [what, messages, why] of WRONG) {
  test(`${what} ends the session, which the other side is told`, () => {
    const { made, taken } = session({ missing: 16 });
    for (const message of messages) made.receive(message);
    const [abort, over] = taken().slice(-2) as [string, [string, string]];
    assert.match(abort, /^Abort:message:/);
    assert.equal(over[0], "over");
    assert.match(over[1], why);
    made.receive("Registered");
    made.receive(RESERVE);
    made.reserved(1);
    made.activated();
    made.fail("again");
    assert.deepEqual(taken(), [], "nothing happens after the end");
  });
}
