import assert from "node:assert/strict";
import { test } from "node:test";
import { addressOf, findPackageFiles, pathOf } from "../../src/commands/package_files.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { MemoryFiles } from "../support/files.ts";

async function filesWith(path: string, manifest: unknown): Promise<MemoryFiles> {
  const files = new MemoryFiles(new FakeClock());
  await files.makeDirectory(path.slice(0, path.lastIndexOf("/")));
  await files.write(path, new TextEncoder().encode(JSON.stringify(manifest)));
  return files;
}

test("findPackageFiles() finds a checkout and an installed package", async () => {
  const exports = { ".": "./mod.ts", "./engines/sample": { types: "./x.d.ts", default: "./engines/sample.js" } };
  const files = await filesWith("/a b/package.json", { name: "@stator/worker", exports });
  const checkout = await findPackageFiles(files, "file:///a%20b/src/commands/compile.ts");
  assert.equal(checkout.main, "/a b/main.ts");
  assert.equal(checkout.isCheckout, true);
  assert.deepEqual(
    Object.entries(checkout.entries).map(([name, url]) => [name, url.href]),
    [
      ["@stator/worker", "file:///a%20b/mod.ts"],
      ["@stator/worker/engines/sample", "file:///a%20b/engines/sample.js"],
    ],
  );
  const installed = await findPackageFiles(files, "file:///a%20b/src/commands/compile.js");
  assert.deepEqual([installed.main, installed.isCheckout], ["/a b/main.js", false]);
});

test("findPackageFiles() says what to run where there are no files", async () => {
  const files = await filesWith("/other/package.json", { name: "other", exports: {} });
  const places = [
    "file:///$bunfs/root/stator",
    "file:///other/src/commands/compile.js",
    "https://jsr.io/@stator/worker/0.1.0/src/commands/compile.ts",
  ];
  for (const self of places) {
    await assert.rejects(findPackageFiles(files, self), /npx -y @stator\/worker compile$/, self);
  }
});

test("addressOf() and pathOf() turn paths into addresses and back", () => {
  const files = new MemoryFiles(new FakeClock());
  const absolute = (path: string) => pathOf(addressOf(files, path));
  assert.equal(absolute("dist/stator"), "/home/dynamo/dist/stator");
  assert.equal(absolute("../x y#?%.ts"), "/home/x y#?%.ts");
  assert.equal(absolute("/a/./b"), "/a/b");
  assert.equal(absolute("C:\\a b\\c.ts"), "C:/a b/c.ts");
});
