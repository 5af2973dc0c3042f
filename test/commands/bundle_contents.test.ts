import assert from "node:assert/strict";
import { test } from "node:test";
import { bundleContents } from "../../src/commands/bundle_contents.ts";

const owner = (path: string) => (path.startsWith("../stator/") ? "@stator/worker" : "own");

test("bundleContents() adds up the modules of each package, the largest first", () => {
  const bundle = [
    "var helper;",
    "// ../stator/src/a.ts",
    "const a = 1;",
    "// node_modules/.deno/hono@4.13.19/node_modules/hono/dist/index.js",
    "const hono = 'a longer piece of code than the other one';",
    "// engine.ts",
    "1;",
    "// ../cache/npm/registry.npmjs.org/@msgpack/msgpack/3.1.3/dist/x.mjs",
    "const x = 2222222;",
    "// node_modules/hono/dist/more.js",
    "",
  ].join("\n");
  const parts = bundleContents(bundle, owner);
  assert.deepEqual(parts.map(({ name }) => name), [
    "hono",
    "@msgpack/msgpack",
    "@stator/worker",
    "own",
    "helpers of the bundler",
  ]);
  assert.equal(parts.reduce((sum, { size }) => sum + size, 0), bundle.length, "every character is somebody's");
});

test("bundleContents() takes no sentence for a module", () => {
  const bundle = "// engine.ts\n// Writes to a file, see engine.ts\n  // indented.ts\nconst url = 'https://x.ts';\n";
  assert.deepEqual(bundleContents(bundle, owner), [{ name: "own", size: bundle.length }]);
});

test("bundleContents() without modules is the bundler's", () => {
  assert.deepEqual(bundleContents("x;\n", owner), [{ name: "helpers of the bundler", size: 3 }]);
  assert.deepEqual(bundleContents("", owner), []);
});
