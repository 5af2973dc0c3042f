import assert from "node:assert/strict";
import { test } from "node:test";
import type { HandoffOrder, Message } from "../../../../engines/mocker/bootstrap/message.ts";
import { SourceSession } from "../../../../engines/mocker/bootstrap/source_session.ts";
import type { TransferTiming } from "../../../../engines/mocker/handoff.ts";
import { CAPTURED_FRAMES, CAPTURED_IDENTITY } from "../../../support/bootstrap_session.ts";

const ID = CAPTURED_IDENTITY.handoff_id;
const TIMING: TransferTiming = {
  mode: "full_prompt",
  full_prompt_tokens: 64,
  kv_bytes_per_token: 1000,
  bandwidth_gb_s: 0.001,
};

/** A session whose every step is noted. */
function session(order: HandoffOrder) {
  const steps: unknown[] = [];
  const sent: Message[] = [];
  const made = new SourceSession(ID, order, {
    send: (message) => {
      sent.push(message);
      steps.push(
        typeof message === "string"
          ? message
          : JSON.stringify(message).replaceAll(/"|[{}]/g, "").replace("handoff_id:", ""),
      );
    },
    submit: () => void steps.push("submit"),
    transfer: (ms) => void steps.push(["transfer", ms]),
    extend: (ms) => void steps.push(["extend", ms]),
    release: () => void steps.push("release"),
    over: (failure) => void steps.push(["over", failure]),
  });
  return { made, sent, steps, taken: () => steps.splice(0) };
}

const acknowledge = (action_id: number, outcome: "Accepted" | "Applied" | "Noop" | { Failed: string }): Message => ({
  ActionAck: { action_id, outcome },
});
const reserved = (tokens: number, handoff_id = ID): Message => ({
  Fact: { DestinationReserved: { handoff_id, transferable_prompt_tokens: tokens } },
});

test("the prefill worker of the captured session says the same in the same order", () => {
  const { made, sent } = session("SourceFirst");
  const decode = CAPTURED_FRAMES.filter(({ from }) => from === "decode").map(({ message }) => message).slice(1);
  made.begin();
  made.sourceHeld(TIMING);
  made.receive(decode[0]!);
  made.receive(decode[1]!);
  made.transferred();
  made.receive(decode[2]!);
  made.released();
  const prefill = CAPTURED_FRAMES.filter(({ from }) => from === "prefill").map(({ message }) => message);
  assert.deepEqual(sent, prefill);
});

test("source first: prompt, room, transfer, activation, release", () => {
  const { made, taken } = session("SourceFirst");
  made.begin();
  assert.deepEqual(taken(), ["Registered", "submit"]);
  made.sourceHeld(TIMING);
  assert.deepEqual(taken().slice(1), [["extend", 64], `Action:id:1,action:ReserveDestination:${ID}`]);
  made.receive(acknowledge(1, "Accepted"));
  made.receive(reserved(16));
  assert.deepEqual(taken(), [["transfer", 64]]);
  made.transferred();
  assert.deepEqual(taken(), [`Action:id:3,action:ActivateDestination:${ID}`]);
  made.receive(acknowledge(3, "Applied"));
  assert.deepEqual(taken(), ["release"]);
  made.released();
  assert.deepEqual(taken(), ["Complete", ["over", undefined]]);
});

test("destination first: room, prompt, transfer of what is missing", () => {
  const { made, taken } = session("DestinationFirst");
  made.begin();
  assert.deepEqual(taken(), ["Registered", `Action:id:0,action:ReserveDestination:${ID}`]);
  made.receive(acknowledge(0, "Accepted"));
  made.receive(reserved(16));
  assert.deepEqual(taken(), ["submit"]);
  made.sourceHeld({ ...TIMING, mode: "destination_missing" });
  assert.deepEqual(taken().slice(1), [["extend", 16], ["transfer", 16]]);
  made.transferred();
  assert.deepEqual(taken(), [`Action:id:3,action:ActivateDestination:${ID}`]);
});

test("what is said twice counts once", () => {
  const { made, taken } = session("SourceFirst");
  made.begin();
  made.sourceHeld(TIMING);
  made.receive(acknowledge(1, "Accepted"));
  made.receive(acknowledge(1, "Accepted"));
  made.receive(reserved(16));
  taken();
  made.receive(reserved(32));
  made.sourceHeld(TIMING);
  assert.deepEqual(taken(), []);
});

const WRONG: readonly (readonly [what: string, messages: readonly Message[], why: RegExp])[] = [
  ["an abort", [{ Abort: { message: "gone" } }], /^gone$/],
  ["a protocol error", [{ ProtocolError: { message: "bad" } }], /^bad$/],
  ["too much to do", ["Overloaded"], /overloaded/],
  ["a word of the other side", ["Registered"], /not its part/],
  ["a message of the other side", [{ Action: { id: 0, action: {} } }], /not its part/],
  ["an answer to nothing", [acknowledge(7, "Applied")], /nobody asked for/],
  ["two answers", [acknowledge(1, "Accepted"), acknowledge(1, "Noop")], /two ways/],
  ["a failure", [acknowledge(1, { Failed: "no room" })], /ReserveDestination failed: no room/],
  ["an outcome of another action", [acknowledge(1, "Applied")], /cannot be Applied/],
  ["room before it is accepted", [reserved(16)], /not asked for/],
  ["room for another prompt", [acknowledge(1, "Accepted"), reserved(16, "x")], /hand-over x/],
];

for (const [what, messages, why] of WRONG) {
  test(`${what} ends the session, which the other side is told`, () => {
    const { made, taken } = session("SourceFirst");
    made.begin();
    made.sourceHeld(TIMING);
    taken();
    for (const message of messages) made.receive(message);
    const [abort, over] = taken() as [string, [string, string]];
    assert.match(abort, /^Abort:message:/);
    assert.equal(over[0], "over");
    assert.match(over[1], why);
    made.receive(acknowledge(1, "Accepted"));
    made.sourceHeld(TIMING);
    made.transferred();
    made.released();
    made.fail("again");
    assert.deepEqual(taken(), [], "nothing happens after the end");
  });
}
