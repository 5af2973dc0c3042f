import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "../../src/commands/compile.ts";
import type { Program, ProgramEnd } from "../../src/platform/platform.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { MemoryFiles } from "../support/files.ts";
import { platformWith } from "../support/worker_rig.ts";

const ROOT = new URL("../../", import.meta.url);
const VERSION = "stator 0.1.0 (fake 1.0; tested with Dynamo 1.6.1)\n";
const CODE = "// engine.ts\nserve();\n";

const done = (output = "", code: number | null = 0): ProgramEnd => ({ code, stdout: output, output });
const missing = () => Promise.reject(Object.assign(new Error("no such program"), { code: "ENOENT" }));

type Step = "bundle" | "version of the code" | "compile" | "version of the executable";
type Tools = Partial<Record<Step, (program: Program) => Promise<ProgramEnd> | ProgramEnd>>;

function stepOf({ args }: Program): Step {
  if (args.includes("compile") || args.includes("--compile")) return "compile";
  if (args.includes("bundle") || args.includes("build")) return "bundle";
  return args.includes("run") ? "version of the code" : "version of the executable";
}

/** Where a tool was told to write. */
function outputOf({ args }: Program): string {
  return args[args.findIndex((word) => word === "--output" || word === "--outfile") + 1] ?? "";
}

/** Runs the command on a machine where tools do as they are told, but for those given. */
async function compile(argv: readonly string[], tools: Tools = {}, runtime = "deno 2.9.6") {
  const files = new MemoryFiles(new FakeClock());
  const put = async (path: string, text: string) => {
    await files.makeDirectory(path.slice(0, path.lastIndexOf("/")));
    await files.write(path, new TextEncoder().encode(text));
  };
  // Its own files are those of the checkout it runs from.
  const manifest = decodeURIComponent(new URL("package.json", ROOT).pathname);
  await put(manifest, new TextDecoder().decode(await realPlatform.files.read(manifest)));
  await put("/home/dynamo/engine.ts", "export default engine;");
  const before = files.paths;
  const defaults: Required<Tools> = {
    "bundle": (program) => put(outputOf(program), CODE).then(() => done()),
    "version of the code": () => done(VERSION),
    "compile": (program) => put(outputOf(program), "machine code").then(() => done()),
    "version of the executable": () => done(VERSION),
  };
  const programs: Program[] = [];
  const out: string[] = [];
  const errors: string[] = [];
  const real = platformWith();
  const code = await run(
    argv,
    platformWith({
      files,
      runtime,
      programs: {
        machine: "linux-x64",
        run: async (program) => {
          programs.push(program);
          const step = stepOf(program);
          return await (tools[step] ?? defaults[step])(program);
        },
      },
      process: {
        ...real.process,
        print: (line) => void out.push(line),
        printError: (line) => void errors.push(line),
      },
    }),
  );
  const made = files.paths.filter((path) => !before.includes(path));
  return { code, made, programs, out: out.join("\n"), errors: errors.join("\n") };
}

test("compile bundles, runs the code, compiles, runs the executable, and leaves nothing else", async () => {
  const { code, made, programs, out } = await compile(["engine.ts"]);
  assert.equal(code, 0);
  assert.deepEqual(made, ["/home/dynamo/engine"]);
  assert.deepEqual(programs.map(stepOf), [
    "bundle",
    "version of the code",
    "compile",
    "version of the executable",
  ]);
  assert.match(out, /the engine's files/, "it says whose code is in it");
  assert.match(out, /^\/home\/dynamo\/engine, 0\.000 MB: stator 0\.1\.0/m);
});

test("compile without a file makes stator itself", async () => {
  const { made, programs } = await compile([]);
  assert.deepEqual(made, ["/home/dynamo/dist/stator"]);
  assert.match(programs[0]!.args.at(-1)!, /\/main\.ts$/);
});

test("the runtime is the one that runs it, unless another is named", async () => {
  assert.equal((await compile(["engine.ts"], {}, "bun 1.4.5")).programs[0]!.file, "bun");
  assert.equal((await compile(["engine.ts"], {}, "deno 2.9.6")).programs[0]!.file, "deno");
  assert.equal((await compile(["engine.ts", "--runtime", "bun"])).programs[0]!.file, "bun");
});

test("an executable for another machine is not run, and named after it", async () => {
  const names = { "linux-arm64": "engine-linux-arm64", "windows-x64": "engine-windows-x64.exe" };
  for (const [target, name] of Object.entries(names)) {
    const { made, programs, out } = await compile(["engine.ts", "--target", target, "--runtime", "bun"]);
    assert.deepEqual(made, [`/home/dynamo/${name}`]);
    assert.ok(programs[2]!.args.includes(`--target=bun-${target}`));
    assert.equal(programs.length, 3);
    assert.match(out, /not run/);
  }
});

test("a target that is this machine is run", async () => {
  const { programs } = await compile(["engine.ts", "--target", "linux-x64"]);
  assert.equal(programs.length, 4);
  assert.ok(programs[2]!.args.includes("x86_64-unknown-linux-gnu"));
});

test("an output that ends in .js is the code alone", async () => {
  const { code, made, programs } = await compile(["-o", "out/engine.js", "engine.ts"]);
  assert.deepEqual([code, made, programs.length], [0, ["/home/dynamo/out/engine.js"], 2]);
});

test("a tool that is not there comes from npm", async () => {
  const { code, programs } = await compile(["engine.ts"], {
    "version of the code": (program) => program.file === "deno" ? missing() : done(VERSION),
  });
  assert.equal(code, 0);
  assert.deepEqual([programs[2]!.file, ...programs[2]!.args.slice(0, 5)], [
    ...["npx", "-y", "--package=deno@2", "--", "deno", "run"],
  ]);
});

const failures: readonly (readonly [string, Tools, RegExp])[] = [
  [
    "code that cannot be bundled",
    { bundle: () => done("error: no module x", 1) },
    /^Cannot bundle \/home\/dynamo\/engine\.ts with deno\n {2}error: no module x$/,
  ],
  ["code that serves nothing", { "version of the code": () => done() }, /does the file export an engine/],
  ["code that hangs", { "version of the code": () => done("", null) }, /exit code null/],
  [
    "a target without a base program",
    { compile: () => done("\u001b[31merror\u001b[0m: dns\nStack backtrace:\n 0: x", 1) },
    /^Cannot make an executable for this machine: deno has no base program for it, or could not load it\n {2}error: dns$/,
  ],
  ["a tool that makes nothing", { compile: () => done() }, /^Cannot make an executable/],
  [
    "an executable of something else",
    { "version of the executable": () => done("deno 2.9.6") },
    /^The executable does not answer --version as a worker does \(exit code 0\)\n {2}deno 2\.9\.6$/,
  ],
  ["an executable that cannot be started", { "version of the executable": missing }, /exit code null.*\n {2}no such/],
];

for (const [what, tools, message] of failures) {
  test(`compile keeps no file of ${what}`, async () => {
    const { code, made, errors } = await compile(["engine.ts"], tools);
    assert.deepEqual([code, made], [1, []]);
    assert.match(errors, message);
  });
}

test("compile exits with 2 for bad usage, and runs nothing", async () => {
  const cases: readonly (readonly [string[], RegExp])[] = [
    [["none.ts"], /^compile: there is no file none\.ts/],
    [["engine.ts", "--target", "linux"], /^--target: "linux" is not one of linux-x64, /],
    [["engine.ts", "--runtime", "node"], /^--runtime: "node" is not one of deno, bun/],
    [["engine.ts", "other.ts"], /^unexpected argument "other\.ts"/],
    [["engine.ts", "--out", "x"], /^unknown option --out/],
    [["engine.ts", "-o"], /^--output needs a value/],
  ];
  for (const [argv, message] of cases) {
    const { code, programs, errors } = await compile(argv);
    assert.deepEqual([code, programs], [2, []], errors);
    assert.match(errors, message);
  }
});

test("compile --help shows the options", async () => {
  const { code, out } = await compile(["--help"]);
  assert.equal(code, 0);
  for (const text of ["--output", "--target <linux-x64", "--runtime <deno|bun>", "calls serve() itself"]) {
    assert.ok(out.includes(text), text);
  }
});

test("a project that does not say what the package is gets this one", async () => {
  const { programs } = await compile(["engine.ts"]);
  assert.ok(programs[0]!.args.includes("--import-map"));
  const own = await compile([]);
  assert.ok(!own.programs[0]!.args.includes("--import-map"));
});
