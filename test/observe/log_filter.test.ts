import assert from "node:assert/strict";
import test from "node:test";
import { type LogLevel, parseLogFilter } from "../../src/observe/log_filter.ts";

interface Row {
  readonly text: string;
  /** Least level by target. */
  readonly least: Readonly<Record<string, LogLevel | "off">>;
  readonly rejected?: readonly string[];
}

const ROWS: readonly Row[] = [
  { text: "", least: { "stator::worker": "info", "": "info" } },
  { text: " , ,", least: { "stator::worker": "info" } },
  { text: "debug", least: { "stator::worker": "debug", "": "debug" } },
  { text: "TRACE", least: { "stator::worker": "trace" } },
  { text: "Warn", least: { "stator::worker": "warn" } },
  { text: "error", least: { "stator::worker": "error" } },
  { text: "off", least: { "stator::worker": "off", "": "off" } },
  { text: "debug,warn", least: { "stator::worker": "warn" } },
  {
    text: "warn,stator::pipeline=debug",
    least: { "stator::pipeline": "debug", "stator::pipeline::generate": "debug", "stator::worker": "warn", "": "warn" },
  },
  {
    text: "stator::pipeline=debug,warn",
    least: { "stator::pipeline": "debug", "stator::worker": "warn" },
  },
  // The reference shows nothing else then; a filter made for its targets must not silence this worker.
  { text: "dynamo_runtime=debug", least: { "stator::worker": "info", dynamo_runtime: "debug" } },
  // A prefix ends where a segment does.
  {
    text: "stator::pipe=trace,stator=warn",
    least: { "stator::pipeline": "warn", "stator::pipe": "trace", stator: "warn", statorship: "info" },
  },
  // The longest counts, wherever it stands.
  {
    text: "stator::pipeline::generate=trace,stator=error,stator::pipeline=off",
    least: {
      "stator::pipeline::generate": "trace",
      "stator::pipeline::handle": "off",
      "stator::worker": "error",
    },
  },
  { text: "stator::worker=off,stator::worker=debug", least: { "stator::worker": "debug" } },
  { text: "stator::worker=debug,stator::worker=off", least: { "stator::worker": "off" } },
  { text: " stator::worker = Debug , off ", least: { "stator::worker": "debug", "stator::pipeline": "off" } },
  { text: "my-engine.loader=debug", least: { "my-engine.loader": "debug" } },
  // What makes no sense does not count, and the rest does.
  { text: "inof", least: { "stator::worker": "info" }, rejected: ["inof"] },
  { text: "stator::worker", least: { "stator::worker": "info" }, rejected: ["stator::worker"] },
  {
    text: "warn,foo=bar,stator::worker=debug,=debug,stator::worker=,a=b=c",
    least: { "stator::worker": "debug", foo: "warn" },
    rejected: ["foo=bar", "=debug", "stator::worker=", "a=b=c"],
  },
  {
    text: "error,stator[request{id=1}]=debug,stator::=debug,::stator=debug,a:b=debug",
    least: { stator: "error", "a:b": "error" },
    rejected: ["stator[request{id=1}]=debug", "stator::=debug", "::stator=debug", "a:b=debug"],
  },
];

for (const { text, least, rejected = [] } of ROWS) {
  test(`parseLogFilter(${JSON.stringify(text)}) decides for every target`, () => {
    const filter = parseLogFilter(text);
    for (const [target, level] of Object.entries(least)) assert.equal(filter.least(target), level, target);
    assert.deepEqual(filter.rejected, rejected);
  });
}

test("parseLogFilter() shows of other targets what its fallback says, until a level is given", () => {
  assert.equal(parseLogFilter("stator::worker=warn", "debug").least("stator::pipeline"), "debug");
  assert.equal(parseLogFilter("stator::worker=warn", "debug").least("stator::worker"), "warn");
  assert.equal(parseLogFilter("error", "debug").least("stator::pipeline"), "error");
});
