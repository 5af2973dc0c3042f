/**
 * The npm package as others get it: packed, installed into empty projects, and one engine's file run in every way there
 * is. What the package depends on comes from the npm registry.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { compileOnBun, startExecutable, stator } from "../support/compiled.ts";
import { complete, gatewayOf } from "../support/gateway_client.ts";
import { startNpmRegistry } from "../support/npm_registry.ts";
import { REPOSITORY } from "../support/peers.ts";
import { type Child, type Command, run, start, temporaryFolder } from "../support/processes.ts";
import { CURRENT, executable, RUN, type Runtime } from "../support/runtimes.ts";

/** The README's first program. */
const ENGINE = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(REPOSITORY, "README.md"), "utf8"))?.[1] ?? "";

/** A module that leaves serving to whoever compiles it. */
const EXPORTED = ENGINE.replace("await serve(", "export default (").replace(", serve", "");

const SERVE = ["--gateway-port", "0"];
const RUNTIMES: readonly Runtime[] = ["deno", "bun"];
const { version } = JSON.parse(readFileSync(join(REPOSITORY, "package.json"), "utf8")) as { version: string };
const TARBALL = join(REPOSITORY, `dist/stator-worker-${version}.tgz`);

test("the package is packed small, and holds JavaScript and types only", { timeout: 120_000 }, async () => {
  await pack();
  const listed = await done({ name: "tar", executable: "tar", args: ["-tzf", TARBALL], env: {} });
  const paths = listed.split("\n").filter((path) => path !== "" && !path.endsWith("/"));
  console.log(`${paths.length} files, ${(statSync(TARBALL).size / 1e3).toFixed(0)} kB`);
  assert.deepEqual(paths.filter((path) => !/\.js$|\.d\.ts$|\/(?:LICENSE|README\.md|package\.json)$/.test(path)), []);
  assert.deepEqual(paths.filter((path) => /^package\/(?:test|docs|compile|node_modules)\//.test(path)), []);
});

test("one file runs from installed packages, from a checkout and compiled", { timeout: 600_000 }, async (t) => {
  await pack();
  await using registry = await startNpmRegistry(TARBALL);
  using folder = temporaryFolder("package");
  const projects = new Map(RUNTIMES.map((runtime) => [runtime, join(folder.path, `on-${runtime}`)] as const));
  const tools = await Promise.all(RUNTIMES.map(async (runtime) => dirname(await executable(runtime))));
  const env = {
    PATH: [...tools, process.env.PATH].join(delimiter),
    // The same version has other bytes next time.
    DENO_DIR: join(folder.path, "deno"),
    BUN_INSTALL_CACHE_DIR: join(folder.path, "bun"),
  };

  for (const runtime of RUNTIMES) {
    const cwd = projects.get(runtime)!;
    mkdirSync(cwd);
    writeFileSync(join(cwd, ".npmrc"), registry.npmrc);
    writeFileSync(join(cwd, "package.json"), '{ "type": "module" }\n');
    writeFileSync(join(cwd, "engine.ts"), ENGINE);
    await t.test(`installed into an empty project, on ${runtime}`, async () => {
      const name = runtime === "deno" ? "npm:@stator/worker" : "@stator/worker";
      await done({ name: "add", executable: await executable(runtime), args: ["add", name], env, cwd });
      assert.ok(existsSync(join(cwd, "node_modules/@stator/worker/mod.js")));
      const args = [...RUN[runtime], "engine.ts", ...SERVE];
      await serves(start({ name: runtime, executable: await executable(runtime), args, env, cwd }));
    });
    await t.test(`its command, on ${runtime}`, async () => {
      const version = { name: "stator", executable: join(cwd, "node_modules/.bin/stator"), env, cwd };
      assert.match(await done({ ...version, args: ["--version"] }), /^stator [\d.]+ \((deno|bun) /);
      assert.match(await done({ ...version, args: ["conformance"] }), /keeps the contract/);
      const compiled = join(cwd, "engine");
      await done({ ...version, args: ["compile", "engine.ts", "--runtime", "bun", "-o", compiled] });
      await serves(startExecutable(compiled, SERVE, folder.path));
      const code = join(cwd, "engine.js");
      await done({ ...version, args: ["compile", "engine.ts", "--runtime", "deno", "-o", code] });
      const lone = ["run", "-A", "--no-config", "--no-npm", "--no-remote", code, ...SERVE];
      await serves(start({ name: "code", executable: await executable("deno"), args: lone, env, cwd: folder.path }));
    });
  }

  await t.test("its types are found", async () => {
    const cwd = projects.get("deno")!;
    await done({ name: "deno check", executable: await executable("deno"), args: ["check", "engine.ts"], env, cwd });
  });

  await t.test("by npx, in a folder that knows nothing of Stator", async () => {
    const cwd = join(folder.path, "by-npx");
    mkdirSync(cwd);
    writeFileSync(join(cwd, "engine.ts"), ENGINE);
    const npx = { name: "npx", executable: "npx", env: { ...env, npm_config_cache: join(folder.path, "npm") }, cwd };
    const command = ["-y", `--package=${TARBALL}`, "stator", "compile", "engine.ts"];
    await done({ ...npx, args: [...command, "--runtime", "bun"] });
    await serves(startExecutable(join(cwd, "engine"), SERVE, folder.path));
    await done({ ...npx, args: [...command, "--runtime", "deno", "-o", "engine.js"] });
    const args = [...RUN.deno, "engine.js", ...SERVE];
    await serves(start({ name: "code", executable: await executable("deno"), args, env, cwd }));
  });

  await t.test("from a checkout, in a folder that knows nothing of Stator", async () => {
    const cwd = join(folder.path, "elsewhere");
    mkdirSync(cwd);
    writeFileSync(join(cwd, "engine.ts"), ENGINE);
    writeFileSync(join(cwd, "exported.ts"), EXPORTED);
    for (const file of ["engine.ts", "exported.ts"]) {
      const compiled = join(cwd, "engine");
      await compileOnBun(file, compiled, cwd);
      await serves(startExecutable(compiled, SERVE, folder.path));
      const end = await stator(["compile", file, "--runtime", "deno", "-o", "engine.js"], cwd);
      assert.equal(end.code, 0, end.output);
      const args = [...RUN.deno, "engine.js", ...SERVE];
      await serves(start({ name: "code", executable: await executable("deno"), args, env, cwd }));
    }
    writeFileSync(join(cwd, "nothing.ts"), "export const nothing = 1;\n");
    const refused = await stator(["compile", "nothing.ts", "--runtime", "bun"], cwd);
    assert.equal(refused.code, 1);
    assert.match(refused.output, /does the file export an engine/);
    assert.ok(!existsSync(join(cwd, "nothing")));
  });
});

/** The worker echoes, as its engine does, and ends in order. */
async function serves(child: Child): Promise<void> {
  await using worker = child;
  assert.equal(await complete(await gatewayOf(worker), "Hello", 16), "Hello");
  worker.signal("SIGTERM");
  assert.deepEqual(await worker.exit(30_000), { code: 0, signal: null });
}

/** Runs a command to its end; resolves to what it printed. */
async function done(command: Command): Promise<string> {
  const end = await run(command, 180_000);
  assert.equal(end.code, 0, `${command.name} ${command.args.join(" ")}\n${end.output}`);
  return end.output;
}

async function pack(): Promise<void> {
  const args = [...RUN[CURRENT], "compile/pack.ts"];
  await done({ name: "pack", executable: await executable(CURRENT), args, env: {}, cwd: REPOSITORY });
}
