import assert from "node:assert/strict";
import test from "node:test";
import {
  formatColored,
  formatJsonl,
  formatReadable,
  type LogRecord,
  parseLogFormat,
} from "../../src/observe/log_format.ts";
import type { LogLevel } from "../../src/observe/log_filter.ts";
import { parseJson } from "../../src/protocol/payload.ts";
import { goldenText } from "../support/golden.ts";

const RECORD: LogRecord = {
  time: Date.UTC(2026, 10, 23, 13, 15, 36, 536) + 0.945,
  utcOffset: null,
  level: "info",
  target: "stator::worker",
  message: "Registered",
  fields: {},
  request: {},
};

function lines(path: string): string[] {
  return goldenText(path).split("\n").filter((line) => line !== "");
}

/** A time with microseconds. @returns milliseconds */
function parseTime(text: string): number {
  return Date.parse(`${text.slice(0, 23)}Z`) + Number(text.slice(23, 26)) / 1000;
}

for (const name of ["worker_readable_lifecycle", "worker_readable_prefill_drain"]) {
  test(`formatReadable() writes the lines of ${name} as a stock worker does`, () => {
    const golden = lines(`contract/logs/${name}.txt`);
    assert.ok(golden.length > 20);
    let fieldCount = 0;
    for (const line of golden) {
      const parts = /^(\S+Z) +(INFO|WARN) ([\w:]+): (.*?)((?: \w+=[\w.:/@+-]+)*)$/.exec(line);
      assert.ok(parts, line);
      const [, time = "", level = "", target = "", message = "", tail = ""] = parts;
      const fields = Object.fromEntries(tail.split(" ").slice(1).map((field) => field.split("=") as [string, string]));
      fieldCount += Object.keys(fields).length;
      const record = { ...RECORD, time: parseTime(time), target, message, fields };
      assert.equal(formatReadable({ ...record, level: level.toLowerCase() as LogLevel }), line);
    }
    assert.ok(fieldCount > 5, "some lines have fields");
  });
}

test("formatJsonl() writes the lines of worker_debug as a stock worker does, but for file and line", () => {
  const golden = lines("contract/logs/worker_debug.jsonl");
  assert.ok(golden.length > 100);
  let fieldCount = 0;
  for (const line of golden) {
    const { time, level, file, line: number, target, message, ...fields } = parseJson(line) as Record<string, unknown>;
    fieldCount += Object.keys(fields).length;
    // Given in another order than the sorted one.
    const shuffled = Object.fromEntries(Object.entries(fields).reverse());
    const written = formatJsonl({
      ...RECORD,
      time: parseTime(time as string),
      level: (level as string).toLowerCase() as LogLevel,
      target: target as string,
      message: message as string,
      fields: shuffled,
    });
    assert.equal(written, line.replace(`"file":${JSON.stringify(file)},"line":${number},`, ""));
  }
  assert.ok(fieldCount > 100, "some lines have fields");
});

test("formatJsonl() sorts the ids of a request among the fields, and these win", () => {
  const fields = { x: 1, request_id: "forged", chunks: 6 };
  const request = { request_id: "r", trace_id: "t", parent_id: "p", span_id: "s", x_request_id: "x" };
  const members = Object.entries(JSON.parse(formatJsonl({ ...RECORD, fields, request })) as Record<string, unknown>);
  assert.deepEqual(members, [
    ["time", "2026-11-23T13:15:36.536945Z"],
    ["level", "INFO"],
    ["target", "stator::worker"],
    ["message", "Registered"],
    ["chunks", 6],
    ["parent_id", "p"],
    ["request_id", "r"],
    ["span_id", "s"],
    ["trace_id", "t"],
    ["x", 1],
    ["x_request_id", "x"],
  ]);
});

test("formatJsonl() gives fields that are named like a member another name", () => {
  const fields = { time: 1, level: "x", target: 2, message: "forged", file: "a.json", line: 3, ["__proto__"]: 4 };
  const text = formatJsonl({ ...RECORD, fields });
  assert.equal(text.match(/"message":/g)?.length, 1);
  const object = JSON.parse(text) as Record<string, unknown>;
  assert.equal(object.message, "Registered");
  assert.equal(object.level, "INFO");
  assert.equal(object["field.message"], "forged");
  assert.equal(object["field.file"], "a.json");
  assert.equal(object["field.line"], 3);
  assert.equal(Object.hasOwn(object, "__proto__"), true);
});

test("formatReadable() keeps the fields' order, the request's last, and quotes what is not simple", () => {
  const fields = {
    b: "two words",
    a: 1n,
    toString: "own",
    list: [1, "x"],
    none: null,
    left: undefined,
    "odd name": "",
  };
  assert.equal(
    formatReadable({ ...RECORD, fields, request: { request_id: "r-1" } }),
    "2026-11-23T13:15:36.536945Z  INFO stator::worker: Registered " +
      'b="two words" a=1 toString=own list=[1,"x"] none=null "odd name"="" request_id=r-1',
  );
});

test("formatReadable() and formatJsonl() show a time as local or as UTC", () => {
  const at = (time: number, utcOffset: number | null) => formatReadable({ ...RECORD, time, utcOffset }).split(" ")[0];
  assert.equal(at(RECORD.time, -210), "2026-11-23T09:45:36.536945-03:30");
  assert.equal(at(RECORD.time, 60), "2026-11-23T14:15:36.536945+01:00");
  assert.equal(at(RECORD.time, 0), "2026-11-23T13:15:36.536945+00:00");
  assert.equal(at(0, null), "1970-01-01T00:00:00.000000Z");
  assert.equal(at(999.9996, null), "1970-01-01T00:00:01.000000Z", "rounding carries");
  assert.match(formatJsonl({ ...RECORD, utcOffset: 60 }), /"time":"2026-11-23T13:15:36.536945Z"/);
});

test("formatReadable() leaves out an empty target", () => {
  assert.equal(formatReadable({ ...RECORD, target: "" }), "2026-11-23T13:15:36.536945Z  INFO Registered");
});

test("formatColored() says the same as formatReadable(), in the reference's colours", () => {
  const colors: Record<LogLevel, string> = { trace: "35", debug: "34", info: "32", warn: "33", error: "31" };
  for (const [level, color] of Object.entries(colors)) {
    const record = { ...RECORD, level: level as LogLevel, fields: { port: "auto" }, request: { request_id: "r" } };
    const text = formatColored(record);
    // deno-lint-ignore no-control-regex
    assert.equal(text.replace(/\x1b\[\d+m/g, ""), formatReadable(record));
    assert.ok(text.includes(`\x1b[${color}m${level.toUpperCase().padStart(5)}\x1b[0m `), text);
    assert.ok(
      text.includes("\x1b[2mstator::worker\x1b[0m\x1b[2m:\x1b[0m Registered \x1b[3mport\x1b[0m\x1b[2m=\x1b[0mauto"),
    );
  }
});

/** Everything that ends a line somewhere, or that a terminal acts on. */
const NASTY = "a\nb\r\nc\u2028d\u2029e\x1b[31mf\x9b2Jg\x00h\x7fi\x85j\u202ek\tl";
// deno-lint-ignore no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/;

test("no message, field, name, target or id can forge a line or act on a terminal", () => {
  const record: LogRecord = {
    ...RECORD,
    target: NASTY,
    message: NASTY,
    fields: { [NASTY]: NASTY, nested: { [NASTY]: [NASTY] }, error: new Error(NASTY, { cause: NASTY }) },
    request: { request_id: NASTY },
  };
  for (const text of [formatReadable(record), formatJsonl(record)]) {
    assert.doesNotMatch(text, CONTROL);
    assert.equal(text.match(/a\\nb\\r?/g)?.length, 8, text);
  }
  const object = JSON.parse(formatJsonl(record)) as Record<string, unknown>;
  assert.equal(object[NASTY], NASTY, "nothing is lost");
  assert.deepEqual(object.nested, { [NASTY]: [NASTY] });
  assert.equal(object.message, NASTY);
});

test("parseLogFormat() knows two words", () => {
  assert.equal(parseLogFormat(" JSONL "), "jsonl");
  assert.equal(parseLogFormat("readable"), "readable");
  assert.equal(parseLogFormat("json"), null);
  assert.equal(parseLogFormat(""), null);
});
