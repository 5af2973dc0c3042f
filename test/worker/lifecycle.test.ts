import assert from "node:assert/strict";
import { test } from "node:test";
import { SILENT } from "../../src/observe/log.ts";
import { Lifecycle, type WorkerState } from "../../src/worker/lifecycle.ts";

const STATES: readonly WorkerState[] = ["init", "starting", "start_failed", "ready", "stopping", "stopped"];
const LEGAL: readonly (readonly [WorkerState, WorkerState])[] = [
  ["init", "starting"],
  ["init", "start_failed"],
  ["init", "stopped"],
  ["starting", "ready"],
  ["starting", "start_failed"],
  ["starting", "stopping"],
  ["start_failed", "stopped"],
  ["ready", "stopping"],
  ["stopping", "stopped"],
];
const WAY: Readonly<Record<WorkerState, readonly WorkerState[]>> = {
  init: [],
  starting: ["starting"],
  start_failed: ["start_failed"],
  ready: ["starting", "ready"],
  stopping: ["starting", "ready", "stopping"],
  stopped: ["stopped"],
};

test("only legal moves are made, and staying is none", () => {
  for (const from of STATES) {
    for (const to of STATES) {
      const lifecycle = new Lifecycle(SILENT);
      for (const state of WAY[from]) lifecycle.move(state);
      const isLegal = from === to || LEGAL.some(([a, b]) => a === from && b === to);
      if (isLegal) lifecycle.move(to);
      else assert.throws(() => lifecycle.move(to), { message: `Cannot move from ${from} to ${to}` });
      assert.equal(lifecycle.state, isLegal ? to : from);
      assert.equal(lifecycle.isReady, lifecycle.state === "ready");
      const wasReady = WAY[from].includes("ready") || lifecycle.state === "ready";
      assert.equal(lifecycle.hasBeenReady, wasReady);
    }
  }
});
