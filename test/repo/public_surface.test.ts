/**
 * Every change of what the package exports shows in review: the names and signatures of all entries, as
 * `public_surface.txt`. After a wanted change: `UPDATE_SURFACE=1 deno test -A test/repo/public_surface.test.ts`.
 */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ROOT, sources, withoutComments } from "./sources.ts";

const SNAPSHOT = join(ROOT, "test/repo/public_surface.txt");

Deno.test("the public surface is the one that was reviewed", async () => {
  const surface = await describeSurface();
  if (Deno.env.get("UPDATE_SURFACE") === "1") writeFileSync(SNAPSHOT, surface);
  assert.equal(surface, readFileSync(SNAPSHOT, "utf8"), "see the top of this file if the change is wanted");
});

Deno.test("describeSurface() shows signatures and no prose", async () => {
  const surface = await describeSurface();
  assert.match(surface, /function defineEngine\(engine: Engine\): Engine/);
  assert.match(surface, /readonly servedModelName\?: string/);
  assert.doesNotMatch(surface, /Name clients use/);
});

/** Signatures of everything that is exported, entry by entry. */
async function describeSurface(): Promise<string> {
  // Deno prints signatures well, but with the prose in between; of a copy without comments it prints no prose.
  const copy = mkdtempSync(join(tmpdir(), "stator-surface-"));
  try {
    for (const { path, text } of sources("src", "engines", "mod.ts", "main.ts")) {
      mkdirSync(dirname(join(copy, path)), { recursive: true });
      writeFileSync(join(copy, path), withoutComments(text));
    }
    const manifest = JSON.parse(readFileSync(join(ROOT, "deno.json"), "utf8")) as { exports: Record<string, string> };
    const { exports } = manifest;
    // Types of packages are looked up, so the copy borrows them.
    copyFileSync(join(ROOT, "package.json"), join(copy, "package.json"));
    symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
    writeFileSync(
      join(copy, "deno.json"),
      JSON.stringify({ name: "@stator/worker", version: "0.0.0", nodeModulesDir: "manual", exports }),
    );
    const parts = Object.entries(exports).map(async ([name, path]) => `# ${name}\n\n${await docs(copy, path)}\n`);
    return (await Promise.all(parts)).join("\n");
  } finally {
    rmSync(copy, { recursive: true });
  }
}

async function docs(folder: string, entry: string): Promise<string> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["doc", "--quiet", entry],
    cwd: folder,
    env: { NO_COLOR: "1" },
  });
  const { success, stdout, stderr } = await command.output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const blocks = new TextDecoder().decode(stdout).split(/^Defined in .*$/m).map((block) => block.trim());
  return blocks.filter((block) => block !== "").sort().join("\n\n");
}
