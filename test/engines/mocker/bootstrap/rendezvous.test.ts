import assert from "node:assert/strict";
import { test } from "node:test";
import { type Participant, Rendezvous } from "../../../../engines/mocker/bootstrap/rendezvous.ts";
import { CAPTURED_IDENTITY } from "../../../support/bootstrap_session.ts";

const one = (handoff_id: string, more: Partial<Participant> = {}): Participant => ({
  identity: { ...CAPTURED_IDENTITY, handoff_id },
  order: "SourceFirst",
  engineType: "vllm",
  ...more,
});

test("the second of two meets the first, whichever that is", () => {
  const rendezvous = new Rendezvous(4);
  const [source, destination] = [one("a"), one("b")];
  assert.deepEqual(rendezvous.addSource(source), { kind: "waiting" });
  assert.deepEqual(rendezvous.addDestination(destination), { kind: "waiting" });
  assert.deepEqual(rendezvous.addDestination(one("a")), { kind: "met", other: source });
  assert.deepEqual(rendezvous.addSource(one("b")), { kind: "met", other: destination });
  assert.equal(rendezvous.size, 2);
});

test("nobody comes twice, nor after the end", () => {
  const rendezvous = new Rendezvous(4);
  rendezvous.addSource(one("a"));
  assert.equal(rendezvous.addSource(one("a")).kind, "refused");
  rendezvous.addDestination(one("a"));
  assert.equal(rendezvous.addDestination(one("a")).kind, "refused");
  rendezvous.retire("a");
  assert.deepEqual([rendezvous.addSource(one("a")).kind, rendezvous.addDestination(one("a")).kind], [
    "refused",
    "refused",
  ]);
  assert.equal(rendezvous.size, 0);
});

test("there is no place beyond the limit until another session is over, and what is over is forgotten in time", () => {
  const rendezvous = new Rendezvous(2);
  rendezvous.addSource(one("a"));
  rendezvous.addDestination(one("b"));
  assert.deepEqual([rendezvous.addSource(one("c")).kind, rendezvous.addDestination(one("d")).kind], ["full", "full"]);
  rendezvous.retire("a");
  assert.equal(rendezvous.addSource(one("c")).kind, "waiting");
  for (const id of ["b", "c"]) rendezvous.retire(id);
  assert.equal(rendezvous.addSource(one("a")).kind, "waiting");
});

for (
  const [what, more] of [
    ["room", { identity: { ...CAPTURED_IDENTITY, handoff_id: "a", bootstrap_room: 1n } }],
    ["request", { identity: { ...CAPTURED_IDENTITY, handoff_id: "a", request_id: "x" } }],
    ["order", { order: "DestinationFirst" }],
    ["engine type", { engineType: "sglang" }],
  ] as const
) {
  test(`two that differ in ${what} do not meet, and the session is over`, () => {
    const rendezvous = new Rendezvous(4);
    const source = one("a");
    rendezvous.addSource(source);
    const arrival = rendezvous.addDestination(one("a", more));
    assert.ok(arrival.kind === "refused" && arrival.other === source);
    assert.equal(rendezvous.size, 0);
  });
}
