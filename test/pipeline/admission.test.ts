import assert from "node:assert/strict";
import { test } from "node:test";
import { Admission, type Permit } from "../../src/pipeline/admission.ts";
import { DynamoError } from "../../src/protocol/error.ts";

/** A request that remembers what it was told. */
class Request {
  readonly name: string;
  error: DynamoError | null = null;
  hasEntered = false;
  permit: Permit | null = null;

  constructor(name: string) {
    this.name = name;
  }

  fail(error: DynamoError): void {
    this.error = error;
  }

  enter(admission: Admission): boolean {
    this.permit = admission.tryEnter(this);
    this.permit?.entered.then(() => this.hasEntered = true);
    return this.permit !== null;
  }

  leave(): void {
    this.permit?.[Symbol.dispose]();
  }
}

const settle = async () => {
  for (let i = 0; i < 5; i++) await Promise.resolve();
};

function requests(admission: Admission, names: string): Request[] {
  return [...names].map((name) => {
    const request = new Request(name);
    assert.ok(request.enter(admission), name);
    return request;
  });
}

const inside = (all: readonly Request[]) => all.filter((one) => one.hasEntered).map((one) => one.name).join("");

test("tryEnter() lets the limit run, the queue limit wait, and refuses the next", async () => {
  const admission = new Admission(2, 3);
  const all = requests(admission, "abcde");
  await settle();
  assert.equal(inside(all), "ab");
  assert.equal(new Request("f").enter(admission), false);
  assert.deepEqual(admission.load, { active: 2, queued: 3, capacity: 2, queueCapacity: 3 });
});

test("tryEnter() refuses at once without a queue", () => {
  const admission = new Admission(1, 0);
  const [first] = requests(admission, "a");
  assert.equal(new Request("b").enter(admission), false);
  first!.leave();
  assert.ok(new Request("c").enter(admission));
});

test("those who wait enter in the order they came, each when a place is given back", async () => {
  const admission = new Admission(2, 4);
  const all = requests(admission, "abcdef");
  all[1]!.leave();
  await settle();
  assert.equal(inside(all), "abc");
  all[0]!.leave();
  await settle();
  assert.equal(inside(all), "abcd");
  assert.deepEqual(admission.load, { active: 2, queued: 2, capacity: 2, queueCapacity: 4 });
});

test("nobody overtakes the queue, and a place that came free in it is given to the next", async () => {
  const admission = new Admission(1, 2);
  const [a, b] = requests(admission, "ab");
  a!.leave();
  const c = new Request("c");
  assert.ok(c.enter(admission));
  await settle();
  assert.equal(inside([b!, c]), "b");
  b!.leave();
  await settle();
  assert.equal(inside([c]), "c");
});

test("a permit given back twice frees one place", async () => {
  const admission = new Admission(1, 3);
  const all = requests(admission, "abc");
  all[0]!.leave();
  all[0]!.leave();
  await settle();
  assert.equal(inside(all), "ab");
});

test("a request that leaves the queue is not let in, and its place in the queue is free", async () => {
  const admission = new Admission(1, 1);
  const [a, b] = requests(admission, "ab");
  b!.leave();
  const c = new Request("c");
  assert.ok(c.enter(admission));
  a!.leave();
  await settle();
  assert.equal(inside([b!, c]), "c");
});

test("idle() resolves when nobody runs or waits", async () => {
  const admission = new Admission(1, 1);
  await admission.idle();
  const [a, b] = requests(admission, "ab");
  let idle = 0;
  admission.idle().then(() => idle++);
  admission.idle().then(() => idle++);
  a!.leave();
  await settle();
  assert.equal(idle, 0);
  b!.leave();
  await settle();
  assert.equal(idle, 2);
});

test("idle() resolves when the last request leaves from the queue", async () => {
  const admission = new Admission(1, 1);
  const [a, b] = requests(admission, "ab");
  let isIdle = false;
  admission.idle().then(() => isIdle = true);
  b!.leave();
  a!.leave();
  await settle();
  assert.ok(isIdle);
});

test("close() is told by isClosed and leaves those inside alone", () => {
  const admission = new Admission(1, 1);
  const [a] = requests(admission, "a");
  assert.equal(admission.isClosed, false);
  admission.close();
  assert.equal(admission.isClosed, true);
  assert.equal(a!.error, null);
});

test("expire() fails those who run, and lets in and fails those who wait, beyond the limit", async () => {
  const admission = new Admission(1, 2);
  const all = requests(admission, "abc");
  const error = new DynamoError("EngineShutdown", "time is up");
  admission.expire(error);
  await settle();
  assert.deepEqual(all.map((one) => one.error), [error, error, error]);
  assert.equal(inside(all), "abc");
  assert.ok(admission.isClosed);
  for (const one of all) one.leave();
  await admission.idle();
  assert.deepEqual(admission.load, { active: 0, queued: 0, capacity: 1, queueCapacity: 2 });
});
