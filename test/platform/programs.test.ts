import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { programs } from "../../src/platform/programs.ts";

const file = process.execPath;
const evaluate = (code: string) => ["Bun" in globalThis ? "-e" : "eval", code];

test("run() tells how a program ended and what it wrote", async () => {
  const code = "console.error('to stderr'); console.log('to stdout'); process.exit(3);";
  const end = await programs.run({ file, args: evaluate(`import process from "node:process";${code}`) });
  assert.deepEqual([end.code, end.stdout], [3, "to stdout\n"]);
  assert.match(end.output, /to stderr/);
  assert.match(end.output, /to stdout/);
});

test("run() runs in a folder", async () => {
  const args = evaluate('import process from "node:process";console.log(process.cwd());');
  const end = await programs.run({ file, args, cwd: "/" });
  assert.equal(end.stdout, "/\n");
});

test("run() kills what takes too long", async () => {
  const end = await programs.run({ file, args: evaluate("setInterval(() => {}, 1e6);"), timeoutMs: 1 });
  assert.equal(end.code, null);
});

test("run() rejects with ENOENT if there is no such program", async () => {
  await assert.rejects(programs.run({ file: "no-such-program-anywhere", args: [] }), { code: "ENOENT" });
});

test("machine is system and processor", () => {
  assert.equal(programs.machine, `${process.platform}-${process.arch}`);
});
