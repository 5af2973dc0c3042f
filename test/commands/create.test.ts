import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "../../src/commands/create.ts";
import { VERSION } from "../../src/worker/version.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { MemoryFiles } from "../support/files.ts";
import { platformWith } from "../support/worker_rig.ts";

const HOME = "/home/dynamo";
const PACKED = new Uint8Array([0x1f, 0x8b, 8, 0]);

const FILES = [
  ".dockerignore",
  ".gitignore",
  "Containerfile",
  "README.md",
  "compose.yaml",
  "deno.json",
  "engine.test.ts",
  "engine.ts",
  "graph.yaml",
  "main.ts",
  "package.json",
];

/** Runs `stator create` on files in memory. */
async function create(argv: readonly string[], files = new MemoryFiles(new FakeClock()), runtime = "deno 2") {
  const out: string[] = [];
  const errors: string[] = [];
  const platform = platformWith({
    files,
    runtime,
    process: {
      ...platformWith().process,
      env: {},
      print: (line) => void out.push(line),
      printError: (line) => void errors.push(line),
    },
  });
  const code = await run(argv, platform);
  const text = async (path: string) => new TextDecoder().decode(await files.read(`${HOME}/${path}`));
  return { code, out: out.join("\n"), errors, files, text };
}

test("create lays out a project of its name, with nothing left to fill in", async () => {
  const { code, out, errors, files, text } = await create(["my-engine"]);
  assert.deepEqual([code, errors], [0, []]);
  assert.deepEqual(files.paths, FILES.map((name) => `${HOME}/my-engine/${name}`));
  for (const path of FILES) {
    const content = await text(`my-engine/${path}`);
    assert.doesNotMatch(content, /\{\{|\}\}/, path);
    assert.ok(content.endsWith("\n") && !content.endsWith("\n\n"), `${path} ends with its last line`);
  }
  const manifest = JSON.parse(await text("my-engine/package.json"));
  assert.equal(manifest.name, "my-engine");
  assert.deepEqual(manifest.dependencies, { "@stator/worker": VERSION.stator });
  assert.match(await text("my-engine/engine.ts"), /modelName = "my-engine"/);
  assert.match(await text("my-engine/graph.yaml"), /^ +image: my-engine:0\.1\.0$/m);
  assert.match(out, /^ {2}cd my-engine\n {2}npm install\n {2}npx -y deno@2 task test$/m);
});

test("create names the commands of the runtime that it runs on", async () => {
  const { out } = await create(["demo"], undefined, "bun 1.4.5");
  assert.match(out, /^ {2}bun install\n {2}bun run test\n {2}bun run start$/m);
});

test("create --package copies a tarball into the project, which uses it", async () => {
  const files = new MemoryFiles(new FakeClock());
  await files.write("/tmp/stator-worker-0.1.0.tgz", PACKED);
  const { code, text } = await create(["demo", "--package", "/tmp/stator-worker-0.1.0.tgz"], files);
  assert.equal(code, 0);
  assert.deepEqual(await files.read(`${HOME}/demo/vendor/stator-worker.tgz`), PACKED);
  const { dependencies } = JSON.parse(await text("demo/package.json"));
  assert.deepEqual(dependencies, { "@stator/worker": "file:./vendor/stator-worker.tgz" });
});

test("create refuses a folder that has files, and --force keeps those that are not the project's", async () => {
  const files = new MemoryFiles(new FakeClock());
  await files.makeDirectory(`${HOME}/demo`);
  for (const name of ["notes.txt", "main.ts"]) await files.write(`${HOME}/demo/${name}`, PACKED);
  const refused = await create(["demo"], files);
  assert.equal(refused.code, 2);
  assert.match(refused.errors.join("|"), /^create: the folder demo is not empty: [^|]*--force[^|]*$/);
  assert.deepEqual(files.paths.length, 2, "nothing was written");

  const { code, text } = await create(["demo", "--force"], files);
  assert.equal(code, 0);
  assert.deepEqual(await files.read(`${HOME}/demo/notes.txt`), PACKED);
  assert.match(await text("demo/main.ts"), /serve\(module\)/);
});

test("create writes into an empty folder", async () => {
  const files = new MemoryFiles(new FakeClock());
  await files.makeDirectory(`${HOME}/demo`);
  assert.equal((await create(["demo"], files)).code, 0);
});

const REFUSED: readonly (readonly [argv: readonly string[], complaint: RegExp])[] = [
  [[], /the name of the project comes first: stator create my-engine/],
  [["--force"], /the name of the project comes first/],
  [["Demo"], /"Demo" cannot name a package/],
  [["my_engine"], /"my_engine" cannot name/],
  [["../demo"], /"\.\.\/demo" cannot name/],
  [["demo-"], /"demo-" cannot name/],
  [["1demo"], /"1demo" cannot name/],
  [["a".repeat(51)], /up to 50/],
  [["demo", "more"], /unexpected argument "more"/],
  [["demo", "--packages", "x"], /unknown option --packages; did you mean (?:--)?package\?/],
  [["demo", "--package", "/tmp/none.tgz"], /--package: cannot read \/tmp\/none\.tgz: ENOENT/],
  [["demo", "--package", "/tmp/text.tgz"], /--package: \/tmp\/text\.tgz is no packed tarball/],
];

for (const [argv, complaint] of REFUSED) {
  test(`create ${argv.join(" ")} is refused in one line, with nothing written`, async () => {
    const files = new MemoryFiles(new FakeClock());
    await files.write("/tmp/text.tgz", new TextEncoder().encode("text"));
    const { code, out, errors } = await create(argv, files);
    assert.deepEqual([code, out, errors.length], [2, "", 1]);
    assert.match(errors[0]!, complaint);
    assert.doesNotMatch(errors[0]!, /\n/);
    assert.deepEqual(files.paths, ["/tmp/text.tgz"]);
  });
}

test("create says where it cannot write, and why", async () => {
  const files = new MemoryFiles(new FakeClock());
  files.failures.set("write", "EACCES");
  const { code, errors } = await create(["demo"], files);
  assert.equal(code, 1);
  assert.match(errors.join("|"), /^create: cannot write into the folder demo: EACCES[^|]*$/);
});

test("create says that a file is in the way", async () => {
  const files = new MemoryFiles(new FakeClock());
  files.failures.set("list", "ENOTDIR");
  const { code, errors } = await create(["demo"], files);
  assert.equal(code, 2);
  assert.match(errors.join("|"), /^create: cannot use the folder demo: ENOTDIR[^|]*$/);
});

test("create --help shows its options and writes nothing", async () => {
  const { code, out, files } = await create(["demo", "--help"]);
  assert.deepEqual([code, files.paths], [0, []]);
  for (const text of ["Usage: stator create <name>", "--package", "--force"]) assert.ok(out.includes(text), text);
});
