/**
 * Stator as one executable, in a folder with nothing else in it, with no runtime on its `PATH`.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { compileOnBun, startExecutable, stator } from "../support/compiled.ts";
import { CHAT, chat, startFrontend } from "../support/frontend.ts";
import { complete, gatewayOf } from "../support/gateway_client.ts";
import { requirePeers, TINY_MODEL } from "../support/peers.ts";
import { run, temporaryFolder } from "../support/processes.ts";
import { executable } from "../support/runtimes.ts";
import { makeStore } from "../support/store.ts";

test("the executable", { timeout: 300_000 }, async (t) => {
  using folder = temporaryFolder("executable");
  const program = join(folder.path, "stator");
  const empty = join(folder.path, "empty");
  mkdirSync(empty);
  const made = await compileOnBun(null, program, folder.path);
  console.log(made.output.split("\n").filter((line) => line !== "" && !line.startsWith("  ")).join("\n"));
  assert.deepEqual(readdirSync(folder.path).sort(), ["empty", "stator"], "nothing else is left behind");

  await t.test("tells versions and options as the program does", async () => {
    await using version = startExecutable(program, ["--version"], empty);
    assert.deepEqual(await version.exit(20_000), { code: 0, signal: null });
    assert.match(version.output(), /^stator [\d.]+ \(bun [\d.]+; tested with Dynamo [\d.]+\)\n$/);
    const ofProgram = await stator(["--help"], empty);
    await using help = startExecutable(program, ["--help"], empty);
    assert.equal((await help.exit(20_000)).code, 0);
    assert.equal(help.output(), ofProgram.output);
  });

  await t.test("serves the default engine and the built-in model", async () => {
    await using worker = startExecutable(program, ["--gateway-port", "0", "--delay", "0"], empty);
    const url = await gatewayOf(worker);
    assert.equal((await complete(url, "Hello", 5)).length, 5);
    worker.signal("SIGTERM");
    assert.deepEqual(await worker.exit(30_000), { code: 0, signal: null });
  });

  await t.test("holds the export of traces and the conformance kit", async () => {
    const env = { OTEL_EXPORT_ENABLED: "1", OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9" };
    await using worker = startExecutable(program, ["--gateway-port", "0"], empty, env);
    await complete(await gatewayOf(worker), "Hello", 2);
    worker.signal("SIGTERM");
    assert.equal((await worker.exit(30_000)).code, 0);
    assert.match(worker.output(), /Traces cannot be exported/, "the exporter tried");
    await using kit = startExecutable(program, ["conformance"], empty);
    assert.equal((await kit.exit(60_000)).code, 0, kit.output());
  });

  await t.test("says in one line what is wrong", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as { port: number };
    // Nobody can write there, not even root.
    const closed = { DYN_DISCOVERY_BACKEND: "file", DYN_FILE_KV: "/proc/1" };
    const cases: readonly (readonly [string[], Record<string, string>, number, RegExp])[] = [
      [["--no-such-flag"], {}, 2, /^unknown option --no-such-flag/],
      [["--delay", "soon"], {}, 2, /^--delay: "soon" is not a number/],
      [["--engine", "nope"], {}, 2, /^--engine: unknown engine nope: choose one of .*sample/],
      [
        ["--model-path", "/no/such"],
        {},
        1,
        /^InvalidArgument: Cannot read model '\/no\/such': there is no such folder$/,
      ],
      [
        ["--gateway-port", String(port)],
        {},
        1,
        /^Cannot open the gateway on 127\.0\.0\.1, port \d+: the port is in use/,
      ],
      [[], closed, 1, /^CannotConnect: Cannot write to the discovery store \/proc\/1: /],
      [["compile"], {}, 1, /^Cannot compile from inside a compiled program, .* npx -y @stator\/worker compile$/],
    ];
    try {
      for (const [args, env, code, line] of cases) {
        await using child = startExecutable(program, args, empty, { DYN_LOG: "off", ...env });
        const exit = await child.exit(30_000);
        const lines = child.output().trim().split("\n");
        assert.deepEqual([exit.code, lines.length], [code, 1], child.output());
        assert.match(lines[0]!, line);
      }
    } finally {
      taken.close();
    }
  });

  await t.test("serves behind Dynamo's frontend, 64 streams at once, and drains", async (step) => {
    if (!requirePeers(step)) return;
    using store = makeStore("executable");
    await using frontend = await startFrontend(store);
    const args = ["--model-name", TINY_MODEL, "--delay", "0.005"];
    await using worker = startExecutable(program, args, store.path, store.env);
    await worker.waitFor(/\bServing\b/, 30_000);
    await frontend.listed(TINY_MODEL);
    const { status, body } = await frontend.post(CHAT, chat(TINY_MODEL, "hi", { max_tokens: 3 }));
    assert.deepEqual([status, body.choices?.[0].message.content], [200, '"#$']);
    const long = chat(TINY_MODEL, "hi", { max_tokens: 60 });
    const streams = await Promise.all(Array.from({ length: 64 }, () => frontend.stream(CHAT, long)));
    for (const stream of streams) {
      assert.deepEqual([stream.status, stream.text.length, stream.error, stream.done], [200, 60, undefined, true]);
    }
    const running = Promise.withResolvers<void>();
    const last = frontend.stream(CHAT, long, { onEvent: () => running.resolve() });
    await Promise.race([running.promise, last]);
    worker.signal("SIGTERM");
    assert.deepEqual([(await last).text.length, (await last).error], [60, undefined]);
    assert.deepEqual(await worker.exit(30_000), { code: 0, signal: null });
    console.log("64 of 64 streams ended normally");
  });
});

test("what is for another machine is made, or refused with a reason and no file", { timeout: 300_000 }, async () => {
  using folder = temporaryFolder("targets");
  for (const target of ["linux-arm64", "macos-x64", "macos-arm64", "windows-x64"]) {
    const output = join(folder.path, `stator-${target}`);
    const end = await stator(["compile", "--runtime", "bun", "--target", target, "-o", output], folder.path);
    const file = target.startsWith("windows") ? `${output}.exe` : output;
    assert.equal(existsSync(file), end.code === 0, end.output);
    const line = end.output.split("\n").findLast((text) => /MB: for |^Cannot make an executable for /.test(text));
    assert.ok(line !== undefined, end.output);
    console.log(line);
  }
});

test(
  "deno compile gets one module and no package, and what does not run is not kept",
  { timeout: 300_000 },
  async () => {
    using folder = temporaryFolder("deno-compile");
    const output = join(folder.path, "stator");
    // In place of the base program, which is not everywhere to be had: everything is done but for the last run.
    const env = { DENORT_BIN: await executable("deno") };
    const end = await stator(["compile", "--runtime", "deno", "-o", output], folder.path, env);
    assert.equal(end.code, 1, end.output);
    assert.match(end.output, /Embedded Files\n.*\n└── \.stator-\w+\.js \([\d.]+MB\)\nFiles: [\d.]+MB\n/, end.output);
    assert.match(end.output, /^The executable does not answer --version as a worker does/m);
    assert.deepEqual(readdirSync(folder.path), []);
  },
);

test("the code alone needs nothing beside a runtime", { timeout: 300_000 }, async () => {
  using folder = temporaryFolder("bundle");
  for (const runtime of ["deno", "bun"] as const) {
    const output = join(folder.path, `${runtime}.js`);
    const end = await stator(["compile", "--runtime", runtime, "-o", output], folder.path);
    assert.equal(end.code, 0, end.output);
    const lone = ["run", "-A", "--no-config", "--no-npm", "--no-remote", "--no-lock"];
    const args = [...(runtime === "deno" ? lone : ["run"]), output, "conformance"];
    const env = { HOME: folder.path, DENO_DIR: join(folder.path, "cache") };
    const ran = await run(
      { name: runtime, executable: await executable(runtime), args, env, cwd: folder.path },
      60_000,
    );
    assert.equal(ran.code, 0, ran.output);
    assert.match(ran.output, /keeps the contract of Dynamo/);
  }
});
