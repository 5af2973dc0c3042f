/**
 * `deno task pack`: makes `dist/stator-worker-<version>.tgz`, the npm package, with JavaScript and types.
 *
 * Runtimes refuse TypeScript below `node_modules`. `deno pack` compiles; what is added here is the command `stator` and
 * what `package.json` says of the package.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
const LAUNCHER = "stator.js";

const source = readJson(join(ROOT, "package.json"));
const output = join(ROOT, `dist/stator-worker-${source.version}.tgz`);
const work = mkdtempSync(join(tmpdir(), "stator-pack-"));
try {
  mkdirSync(join(ROOT, "dist"), { recursive: true });
  const raw = join(work, "raw.tgz");
  execFileSync(process.execPath, ["pack", "--quiet", "--allow-dirty", "--no-source-maps", "--output", raw], {
    cwd: ROOT,
    stdio: ["ignore", "ignore", "pipe"],
  });
  execFileSync("tar", ["-xzf", raw, "-C", work]);
  const folder = join(work, "package");
  for (const path of sourceFiles(folder)) rmSync(path);
  copyFileSync(join(ROOT, "compile/launcher.js"), join(folder, LAUNCHER));
  chmodSync(join(folder, LAUNCHER), 0o755);
  const { description, dependencies, engines } = source;
  const ours = { description, dependencies, engines, bin: { stator: LAUNCHER } };
  const manifest = { ...readJson(join(folder, "package.json")), ...ours };
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest, null, 2) + "\n");
  execFileSync("tar", ["-czf", output, "-C", work, "package"]);
  console.log(output);
} finally {
  rmSync(work, { recursive: true });
}

/** TypeScript that no entry leads to, which `deno pack` takes along as it is. */
function sourceFiles(folder: string): string[] {
  const paths = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return paths.filter((path) => path.endsWith(".ts") && !path.endsWith(".d.ts")).map((path) => join(folder, path));
}

// deno-lint-ignore no-explicit-any -- manifests are passed on
function readJson(path: string): any {
  return JSON.parse(readFileSync(path, "utf8"));
}
