import assert from "node:assert/strict";
import { test } from "node:test";
import { module as sample } from "@stator/worker/engines/sample";
import { runOn } from "../../src/commands/run.ts";
import { run } from "../../src/commands/conformance.ts";
import type { Engine, EngineModule } from "../../src/engine/engine.ts";
import type { Platform } from "../../src/platform/platform.ts";
import { chunk, usage } from "../../src/protocol/output.ts";
import { UsageError } from "../../src/worker/command_line.ts";
import { platformWith } from "../support/worker_rig.ts";

const keeps: Engine = {
  start: () => Promise.resolve({ model: "m" }),
  async *generate(request, ctx) {
    const prompt = request.token_ids.length;
    const most = request.stop_conditions.max_tokens ?? 1;
    for (let i = 0; i < most; i++) {
      if (ctx.signal.aborted) return yield chunk.cancelled(usage(prompt, i));
      yield chunk.tokens([i]);
      await ctx.clock.nextTurn();
    }
    yield chunk.length(usage(prompt, most));
  },
  cleanup() {},
};

const moduleOf = (members: Partial<Engine> = {}): EngineModule => ({
  options: [],
  create: () => ({ ...keeps, ...members }),
});

const unheard = (error: unknown) => assert.fail(`nobody listens for ${error}`);
/** Raises an error that nobody caught. */
let raise: (error: unknown) => void = unheard;

/** Runs `stator conformance` with what is printed and written kept. */
async function conformance(
  argv: readonly string[],
  module: EngineModule = moduleOf(),
  parts: Partial<Platform["files"]> = {},
) {
  const out: string[] = [];
  const errors: string[] = [];
  const written = new Map<string, string>();
  const real = platformWith();
  const platform = platformWith({
    files: {
      ...real.files,
      write: (path, bytes) => Promise.resolve(void written.set(path, new TextDecoder().decode(bytes))),
      ...parts,
    },
    process: {
      ...real.process,
      env: {},
      exit: () => assert.fail("exit was called"),
      onFault: (run) => {
        raise = run;
        return { [Symbol.dispose]: () => void (raise = unheard) };
      },
      print: (line) => void out.push(line),
      printError: (line) => void errors.push(line),
    },
  });
  const tables = {
    engines: { sample: () => Promise.resolve(sample), mine: () => Promise.resolve(module) },
    commands: { conformance: () => Promise.resolve({ run }) },
  };
  const code = await runOn(platform, ["conformance", ...argv], tables);
  return { code, out: out.join("\n"), errors: errors.join("\n"), written };
}

test("conformance prints a table of checks and exits with 0 when all is well", async () => {
  const { code, out, errors } = await conformance([]);
  assert.equal(code, 0);
  assert.equal(errors, "");
  assert.match(out, /^passed {2}start +\d+\.\d ms$/m);
  assert.match(out, /^n\/a +drain +\d+\.\d ms {2}the engine has no drain$/m);
  assert.match(out, /^sample as agg keeps the contract of Dynamo: 15 passed, 0 failed, 2 not applicable$/m);
});

test("conformance exits with 1 and names what failed", async () => {
  const module = moduleOf({ start: () => Promise.resolve({ model: "" }) });
  const { code, out } = await conformance(["--engine", "mine"], module);
  assert.equal(code, 1);
  assert.match(
    out,
    /^FAILED {2}start +\d+\.\d ms {2}EmptyModelInConfig: start returned a config without a model name$/m,
  );
  assert.match(out, /^mine as agg does not keep the contract of Dynamo: 3 passed, 1 failed, 13 not applicable$/m);
});

test("conformance tests the engine in the role and with the flags of serve", async () => {
  const flags = ["--engine=sample", "--disaggregation-mode", "encode", "--delay", "10", "--model-name", "x"];
  const { code, out } = await conformance(flags);
  assert.equal(code, 0);
  assert.match(out, /^sample as encode keeps/m);
  const aggregated = await conformance(["--disaggregation-mode", "aggregated"]);
  assert.match(aggregated.out, /^sample as agg keeps/m);
});

test("conformance makes the engines of its flags, none of them twice", async () => {
  const values: unknown[] = [];
  const module: EngineModule = {
    options: [{ key: "size", flag: "size", type: "integer", group: "Mine", help: "its size" }],
    create: (given) => (values.push(given.size), { ...keeps }),
  };
  const { code } = await conformance(["--engine", "mine", "--size", "7"], module);
  assert.equal(code, 0);
  assert.deepEqual(values, [7, 7]);
});

test("--junit writes a report that build servers read", async () => {
  const module = moduleOf({ drain: () => Promise.reject(new Error('a "b" <c> & \u0001\nd')) });
  const { code, written } = await conformance(["--engine", "mine", "--junit", "out/junit.xml"], module);
  assert.equal(code, 1);
  const xml = written.get("out/junit.xml")!;
  assert.match(xml, /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<testsuites>\n/);
  assert.match(
    xml,
    /<testsuite name="stator conformance mine \(agg\)" tests="17" failures="1" skipped="4" errors="0" time="\d+\.\d{3}">/,
  );
  assert.match(xml, /<testcase classname="stator\.conformance\.mine\.agg" name="start" time="\d+\.\d{3}"\/>/);
  assert.ok(
    xml.includes(
      '<failure type="DrainFailed" message="drain of an idle engine threw: Error: a &quot;b&quot; &lt;c&gt; &amp; ?&#10;d"/>',
    ),
  );
  assert.match(xml, /name="kv_event_sources" [^>]*><skipped message="[^"]+"\/><\/testcase>/);
  assert.equal(xml.match(/<testcase /g)?.length, 17);
  assert.ok(xml.endsWith("</testsuites>\n"));
});

test("--junit with a file that cannot be written is bad usage, unless the engine failed anyway", async () => {
  const write = () => Promise.reject(new Error("ENOENT: no such folder"));
  const argv = ["--engine", "mine", "--junit", "no/such/file"];
  const fine = await conformance(argv, moduleOf(), { write });
  assert.equal(fine.code, 2);
  assert.match(fine.errors, /^--junit: cannot write no\/such\/file: ENOENT/);
  const broken = await conformance(argv, moduleOf({ start: () => Promise.resolve({ model: "" }) }), { write });
  assert.equal(broken.code, 1);
});

test("--check-timeout and --real-time reach the kit", async () => {
  const hangs = moduleOf({ start: () => new Promise(() => {}) });
  const late = await conformance(["--engine", "mine", "--check-timeout", "0.02"], hangs);
  assert.match(late.out, /StartFailed: start did not finish within 0\.02 s/);
  const times: number[] = [];
  const sleeps = moduleOf({
    async *generate(_request, ctx) {
      const begin = performance.now();
      await ctx.clock.sleepUntil(ctx.clock.now() + 30);
      times.push(performance.now() - begin);
      yield chunk.stop();
    },
  });
  await conformance(["--engine", "mine", "--real-time"], sleeps);
  assert.ok(times[0]! >= 29, `it slept ${times[0]} ms`);
});

const MISUSE: Readonly<Record<string, readonly [readonly string[], RegExp]>> = {
  "an unknown engine": [
    ["--engine", "sampel"],
    /unknown engine sampel: choose one of sample, mine; did you mean sample\?/,
  ],
  "an unknown option": [["--junti", "x"], /unknown option --junti; did you mean --junit\?/],
  "a value that is no number": [["--check-timeout", "soon"], /--check-timeout: "soon" is not a number/],
  "a role that there is not": [["--disaggregation-mode", "both"], /"both" is not one of agg/],
};

for (const [name, [argv, message]] of Object.entries(MISUSE)) {
  test(`conformance exits with 2 for ${name}`, async () => {
    const { code, out, errors } = await conformance(argv);
    assert.equal(code, 2);
    assert.match(errors, message);
    assert.equal(out, "");
  });
}

test("conformance exits with 2 when the engine refuses its settings, with 1 when it cannot be made", async () => {
  const refuse = (error: Error): EngineModule => ({ options: [], create: () => Promise.reject(error) });
  const refused = await conformance(["--engine", "mine"], refuse(new UsageError("--size: too large")));
  assert.equal(refused.code, 2);
  assert.match(refused.errors, /^--size: too large/);
  const broken = await conformance(["--engine", "mine"], refuse(new Error("no device")));
  assert.equal(broken.code, 1);
  assert.match(broken.errors, /no device/);
});

test("an error that no hook threw fails the engine", async () => {
  const module = moduleOf({
    start() {
      raise(new Error("lost in a timer"));
      return Promise.resolve({ model: "m" });
    },
  });
  const { code, out, errors } = await conformance(["--engine", "mine"], module);
  assert.equal(code, 1);
  assert.match(errors, /An error that no hook threw: Error: lost in a timer/);
  assert.match(out, /keeps the contract/);
  assert.equal(raise, unheard, "it stops listening");
});

test("conformance --help shows the options of the command and of the engine", async () => {
  const { code, out } = await conformance(["--help"]);
  assert.equal(code, 0);
  assert.match(out, /^Usage: stator conformance \[--engine <sample\|mine>\]/);
  assert.match(out, /--junit <string>/);
  assert.match(out, /--delay <seconds>/);
  assert.match(out, /--disaggregation-mode/);
  assert.doesNotMatch(out, /--gateway-port/);
});
