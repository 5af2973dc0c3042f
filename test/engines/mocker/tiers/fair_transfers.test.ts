import assert from "node:assert/strict";
import { test } from "node:test";
import { bytesPerMs, type Direction, FairTransfers } from "../../../../engines/mocker/tiers/fair_transfers.ts";
import { TransferLane } from "../../../../engines/mocker/tiers/transfer_lane.ts";

const MEGABYTE = 1e6;

/** A job of 1 MB; rates in GB/s. */
function job(subject: string, client: number, direction: Direction, readyMs: number, own: number, shared: number) {
  const [clientRate, sharedRate] = [bytesPerMs(own), bytesPerMs(shared)];
  return { subject, client, direction, readyMs, bytes: MEGABYTE, clientRate, sharedRate };
}

function run(...jobs: ReturnType<typeof job>[]): [string, number][] {
  const transfers = new FairTransfers<string>();
  for (const one of jobs) transfers.submit(one);
  return transfers.advance(1e6).map(({ subject, atMs }) => [subject, atMs]);
}

test("each direction has a bandwidth of its own", () => {
  assert.deepEqual(run(job("out", 0, "write", 0, 1, 1), job("in", 0, "read", 0, 1, 1)), [["out", 1], ["in", 1]]);
});

test("jobs of one client share its link, and all share the common one", () => {
  assert.deepEqual(run(job("a", 0, "read", 0, 1, 0), job("b", 0, "read", 0, 1, 0)), [["a", 2], ["b", 2]]);
  assert.deepEqual(run(job("a", 0, "read", 0, 1, 1), job("b", 1, "read", 0, 1, 1)), [["a", 2], ["b", 2]]);
  assert.deepEqual(run(job("a", 0, "read", 0, 1, 0), job("b", 1, "read", 0, 0.5, 0)), [["a", 1], ["b", 2]]);
});

test("a job that is not ready takes nothing from the others", () => {
  assert.deepEqual(run(job("late", 0, "read", 5, 1, 1), job("now", 0, "read", 0, 1, 1)), [["now", 1], ["late", 6]]);
  assert.deepEqual(run(job("late", 0, "read", 1, 0, 0), job("now", 1, "read", 0, 1, 0)), [["now", 1], ["late", 1]]);
});

test("a cancelled job leaves its share to the rest", () => {
  const transfers = new FairTransfers<string>();
  for (const subject of ["a", "b"]) transfers.submit(job(subject, 0, "read", 0, 1, 0));
  assert.equal(transfers.nextMs, 2);
  assert.deepEqual(transfers.advance(1), []);
  assert.deepEqual([transfers.cancel("a"), transfers.cancel("a")], [true, false]);
  assert.equal(transfers.nextMs, 1.5);
  assert.deepEqual(transfers.advance(10), [{ subject: "b", atMs: 1.5 }]);
  assert.deepEqual([transfers.nextMs, transfers.nowMs, transfers.hasJobs(0)], [Infinity, 10, false]);
});

test("a lane does one copy after the other, whenever they come", () => {
  const lane = new TransferLane(1);
  assert.deepEqual([lane.submit(0, MEGABYTE), lane.submit(0.5, MEGABYTE), lane.submit(9, MEGABYTE)], [1, 2, 10]);
  assert.equal(new TransferLane(0).submit(3, MEGABYTE), 3);
});
