/**
 * The package's entries are the same for every tool, and documented.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { files, ROOT } from "./sources.ts";

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly files?: readonly string[];
  readonly publish?: { readonly include: readonly string[] };
}

const deno = manifest("deno.json");
const entries = Object.entries(deno.exports);

Deno.test("deno.json and package.json describe the same package", () => {
  const node = manifest("package.json");
  for (const field of ["name", "version", "license", "exports"] as const) {
    assert.deepEqual(node[field], deno[field], `${field} is the same in both`);
  }
  // npm takes these two along by itself.
  const packed = [...node.files ?? [], "README.md", "LICENSE"];
  const published = deno.publish?.include.map((pattern) => pattern.replace(/\/\*\*$/, ""));
  assert.deepEqual(
    packed.sort(),
    published?.filter((path) => path !== "deno.json").sort(),
    "what is packed is the same",
  );
});

for (const [name, path] of entries) {
  Deno.test(`the entry ${name} says what it is`, () => {
    assert.ok(existsSync(join(ROOT, path)), `${path} exists`);
    const first = /^\/\*\*([\s\S]*?)\*\//.exec(readFileSync(join(ROOT, path), "utf8"))?.[1] ?? "";
    assert.match(first, /@module\b/, `${path} begins with a module comment`);
    assert.match(first.trim(), /^\* \w/, `${path} says in a sentence what it holds`);
  });
}

Deno.test("every entry passes deno doc --lint", async () => {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["doc", "--lint", ...entries.map(([, path]) => path)],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
  });
  const { success, stdout, stderr } = await command.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert.ok(success, text(stdout) + text(stderr));
});

Deno.test("every file that is published exists, and every entry is published", () => {
  const { include = [] } = deno.publish ?? {};
  const published = include.flatMap((pattern) => files(pattern.replace(/\/\*\*$/, "")));
  for (const pattern of include) {
    assert.ok(files(pattern.replace(/\/\*\*$/, "")).length > 0, `${pattern} is there`);
  }
  for (const [name, path] of entries) {
    assert.ok(published.includes(path.replace(/^\.\//, "")), `${name} is published`);
  }
});

function manifest(name: string): Manifest {
  return JSON.parse(readFileSync(join(ROOT, name), "utf8"));
}
