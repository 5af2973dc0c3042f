import assert from "node:assert/strict";
import test from "node:test";
import { createLog, type Log, type LogOptions, SILENT, targetLog, withFields } from "../../src/observe/log.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { resolveOptions } from "../../src/worker/resolve_options.ts";
import { openLog } from "../../src/worker/open_log.ts";

const TIME = "1970-01-01T00:00:00.000000Z";

function recording(options: Partial<LogOptions> = {}): { readonly log: Log; readonly lines: string[] } {
  const lines: string[] = [];
  return { lines, log: createLog({ wallTime: () => 0, write: (line) => void lines.push(line), ...options }) };
}

/** Lines of the log that an environment asks for, after `use`. */
function linesWith(env: Readonly<Record<string, string>>, use: (log: Log) => void = () => {}): string[] {
  const lines: string[] = [];
  const process = { ...realPlatform.process, env, printError: (line: string) => void lines.push(line) };
  const clock = { ...realPlatform.clock, wallTime: () => 0 };
  use(openLog({ ...realPlatform, process, clock }, resolveOptions({}, env)));
  return lines;
}

/** Fields that cannot be looked at. */
const UNTOUCHABLE = new Proxy<Record<string, unknown>>({}, {
  get: () => assert.fail("a field was read"),
  ownKeys: () => assert.fail("the fields were listed"),
});

test("createLog() shows info and above, with time, level, message and fields", () => {
  const { log, lines } = recording();
  log.debug("d");
  log.info("i", { a: 1 });
  log.warn("w", { b: "two words" });
  log.error("e", { error: new Error("broke", { cause: new Error("why") }) });
  assert.deepEqual(lines, [
    `${TIME}  INFO i a=1`,
    `${TIME}  WARN w b="two words"`,
    `${TIME} ERROR e error="Error: broke; caused by Error: why"`,
  ]);
});

test("targetLog() gives lines a target, and the filter decides by it", () => {
  const { log, lines } = recording({ filter: "warn,stator::pipeline=debug,stator::gateway=off", target: "stator" });
  const logs = ["stator::pipeline", "stator::worker", "stator::gateway"].map((target) => targetLog(log, target));
  for (const one of [log, ...logs, targetLog(logs[0]!, "stator::pipeline::generate")]) {
    one.debug("d");
    one.info("i");
    one.error("e");
  }
  assert.deepEqual(lines.map((line) => line.slice(TIME.length + 1)), [
    "ERROR stator: e",
    "DEBUG stator::pipeline: d",
    " INFO stator::pipeline: i",
    "ERROR stator::pipeline: e",
    "ERROR stator::worker: e",
    "DEBUG stator::pipeline::generate: d",
    " INFO stator::pipeline::generate: i",
    "ERROR stator::pipeline::generate: e",
  ]);
});

test("targetLog() keeps a log that has no targets", () => {
  assert.equal(targetLog(SILENT, "stator::worker"), SILENT);
});

test("a line that is not shown looks at nothing: no field, no request, no clock", () => {
  const wallTime = () => assert.fail("the clock was read");
  const log = createLog({ filter: "error,a=off", wallTime, write: () => assert.fail("a line was written") });
  const request = {
    get id(): string {
      return assert.fail("the request was read");
    },
    incoming: {},
  };
  for (const one of [log, targetLog(log, "stator::pipeline")]) {
    one.debug("d", UNTOUCHABLE, request);
    one.info("i", UNTOUCHABLE, request);
    one.warn("w", UNTOUCHABLE, request);
  }
  targetLog(log, "a").error("e", UNTOUCHABLE, request);
  assert.throws(() => log.error("e", {}, request), /the clock was read/, "what is shown does");
});

test("all that is not shown is one function, so that it costs the same whatever it is", () => {
  const { log } = recording({ filter: "error" });
  assert.equal(log.debug, log.warn);
  assert.equal(log.debug, targetLog(log, "stator::pipeline").info);
});

const TRACEPARENT = "00-349608fc8dd53dba7c567d8802c94f4f-f3322e3cc3cc99a3-01";
const TRACE = { trace_id: "349608fc8dd53dba7c567d8802c94f4f", parent_id: "f3322e3cc3cc99a3" };

const REQUESTS: readonly [name: string, incoming: Record<string, string>, expected: Record<string, string>][] = [
  ["no headers", {}, {}],
  ["a traceparent", { traceparent: TRACEPARENT }, TRACE],
  ["an x-request-id", { traceparent: TRACEPARENT, "x-request-id": "mine" }, { ...TRACE, x_request_id: "mine" }],
  ["a traceparent of a later version", { traceparent: TRACEPARENT.replace("00-", "01-") + "-more" }, TRACE],
  ["a traceparent without a trace", { traceparent: `00-${"0".repeat(32)}-f3322e3cc3cc99a3-01` }, {}],
  ["a traceparent without a parent", { traceparent: `00-349608fc8dd53dba7c567d8802c94f4f-${"0".repeat(16)}-01` }, {}],
  ["a version that is none", { traceparent: TRACEPARENT.replace("00-", "ff-") }, {}],
  ["a traceparent that is too long", { traceparent: TRACEPARENT + "0" }, {}],
  ["upper case", { traceparent: TRACEPARENT.toUpperCase() }, {}],
  ["something else", { traceparent: "x" }, {}],
];

for (const [name, incoming, expected] of REQUESTS) {
  test(`a line about a request has its ids: ${name}`, () => {
    const { log, lines } = recording({ format: "jsonl", target: "stator" });
    log.info("request completed", { chunks: 6 }, { id: "r-1", incoming });
    const { time: _time, level: _level, target, message, ...fields } = JSON.parse(lines[0]!);
    assert.deepEqual({ target, message }, { target: "stator", message: "request completed" });
    assert.deepEqual(fields, { chunks: 6, request_id: "r-1", ...expected });
  });
}

test("a line about a request names the worker's own span, if it has one", () => {
  const { log, lines } = recording();
  log.info("m", {}, {
    id: "r-1",
    incoming: { traceparent: TRACEPARENT },
    span: { name: "handle_payload", traceId: TRACE.trace_id, spanId: "015807152010611c" },
  });
  const ids =
    `request_id=r-1 trace_id=${TRACE.trace_id} parent_id=${TRACE.parent_id} span_id=015807152010611c span_name=handle_payload`;
  assert.deepEqual(lines, [`${TIME}  INFO m ${ids}`]);
});

test("directives that make no sense are told in one warning, whatever is shown", () => {
  const { lines } = recording({ filter: "off,foo=bar,inof" });
  assert.deepEqual(lines, [
    `${TIME}  WARN Ignoring log directives that are neither level nor target=level directives="foo=bar, inof"`,
  ]);
  assert.deepEqual(recording({ filter: "off,foo=warn" }).lines, []);
});

test("a call never throws because of what it is given", () => {
  const fails = (): never => {
    throw new Error("no");
  };
  const hostile = new Proxy({}, { get: fails, ownKeys: fails, getPrototypeOf: fails });
  for (const format of ["readable", "jsonl"] as const) {
    for (const more of [{}, { worker: 1 }]) {
      const { log: root, lines } = recording({ format });
      const log = withFields(root, more);
      log.info("one", { hostile });
      log.info("two", hostile);
      log.info("three", {
        get a(): never {
          return fails();
        },
        b: 1,
      });
      log.info("four", {}, hostile as { id: string; incoming: Record<string, string> });
      log.info("five", null as never);
      log.info(new Error("six") as never);
      log.info(undefined as never);
      log.info(hostile as never);
      assert.equal(lines.length, 8);
      const words = ["one", "two", "three", "four", "five", "Error: six", "undefined", "[unprintable]"];
      for (const [i, word] of words.entries()) assert.ok(lines[i]!.includes(word), lines[i]);
      assert.equal(lines.filter((line) => /worker"?[=:]1/.test(line)).length, "worker" in more ? 8 : 0);
      assert.match(lines[0]!, /\[unprintable\]/);
      assert.match(lines[2]!, /a"?[=:]"Error: no".*b"?[=:]1/);
    }
  }
});

test("openLog() takes the filter from DYN_LOG and nothing from RUST_LOG", () => {
  const use = (log: Log) => {
    log.debug("d");
    targetLog(log, "stator::pipeline").debug("p");
  };
  assert.deepEqual(linesWith({ RUST_LOG: "debug" }, use), []);
  assert.deepEqual(linesWith({ DYN_LOG: "info,stator::pipeline=debug", RUST_LOG: "off" }, use), [
    `${TIME} DEBUG stator::pipeline: p`,
  ]);
  assert.match(
    linesWith({ DYN_LOG: "stator:pipeline=debug" }, use).join(),
    /WARN stator: .*directives="stator:pipeline=debug"/,
  );
});

const FORMATS: readonly [env: Record<string, string>, format: "readable" | "jsonl", lineCount: number][] = [
  [{}, "readable", 1],
  [{ DYN_LOGGING_JSONL: "1" }, "jsonl", 1],
  [{ DYN_LOGGING_JSONL: "true", DYN_LOGGING_CONSOLE_FORMAT: " " }, "jsonl", 1],
  [{ DYN_LOGGING_JSONL: "0", DYN_LOGGING_CONSOLE_FORMAT: "jsonl" }, "jsonl", 1],
  [{ DYN_LOGGING_JSONL: "1", DYN_LOGGING_CONSOLE_FORMAT: "readable" }, "readable", 1],
  [{ DYN_LOGGING_CONSOLE_FORMAT: " JSONL " }, "jsonl", 1],
  [{ DYN_LOGGING_CONSOLE_FORMAT: "xml", DYN_LOGGING_JSONL: "1" }, "readable", 2],
  [{ DYN_LOGGING_CONFIG_PATH: "/etc/logging.toml" }, "readable", 2],
  [{ DYN_LOGGING_CONFIG_PATH: "" }, "readable", 1],
];

for (const [env, format, lineCount] of FORMATS) {
  test(`openLog() writes ${format} lines with ${JSON.stringify(env)}`, () => {
    const lines = linesWith(env, (log) => log.info("hello"));
    assert.equal(lines.length, lineCount);
    for (const line of lines.slice(0, -1)) {
      assert.match(line, /WARN stator: DYN_LOGGING_CONFIG_PATH|WARN stator: .*value=xml/);
    }
    const expected = format === "readable"
      ? `${TIME}  INFO stator: hello`
      : `{"time":"${TIME}","level":"INFO","target":"stator","message":"hello"}`;
    assert.equal(lines.at(-1), expected);
  });
}

test("openLog() shows local time in readable lines only", () => {
  const minutes = -new Date(0).getTimezoneOffset();
  const sign = minutes < 0 ? "-" : "+";
  const digits = (value: number) => String(Math.floor(Math.abs(value))).padStart(2, "0");
  const readable = linesWith({ DYN_LOG_USE_LOCAL_TZ: "1" }, (log) => log.info("hello"))[0]!;
  assert.ok(readable.includes(`.000000${sign}${digits(minutes / 60)}:${digits(minutes % 60)}  INFO`), readable);
  assert.equal(Date.parse(readable.split(" ")[0]!), 0);
  const env = { DYN_LOG_USE_LOCAL_TZ: "1", DYN_LOGGING_CONSOLE_FORMAT: "jsonl" };
  assert.match(linesWith(env, (log) => log.info("hello"))[0]!, new RegExp(`"time":"${TIME}"`));
});
