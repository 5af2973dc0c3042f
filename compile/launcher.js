#!/usr/bin/env node
/**
 * The command `stator` of the installed package. Deno and Bun run it themselves; Node looks for one of them on the
 * `PATH`, else asks npm for Deno.
 */
import { spawn, spawnSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";

const RUN = {
  deno: ["run", "--allow-all", "--quiet", "--no-lock", "--node-modules-dir=manual", "--unstable-no-legacy-abort"],
  bun: ["run"],
};
const isWindows = process.platform === "win32";

if (process.versions.deno ?? process.versions.bun) await import("./main.js");
else runElsewhere();

function runElsewhere() {
  const [program, runtime] = findRuntime();
  const args = [...RUN[runtime], fileURLToPath(new URL("main.js", import.meta.url)), ...process.argv.slice(2)];
  const child = spawn(program, args, { stdio: "inherit" });
  // A terminal tells the whole group; a supervisor tells this process only.
  for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => void child.kill(signal));
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

function findRuntime() {
  for (const runtime of ["deno", "bun"]) {
    if (!spawnSync(runtime, ["--version"], { stdio: "ignore" }).error) return [runtime, runtime];
  }
  // npx itself would stand between this process and the worker, and signals would reach only npx.
  const args = ["-y", "--package=deno@2", "--", "deno", "eval", "console.log(Deno.execPath())"];
  const { stdout, status } = spawnSync("npx", args, {
    encoding: "utf8",
    shell: isWindows,
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status === 0) return [stdout.trim().split("\n").at(-1), "deno"];
  console.error("stator needs Deno or Bun; neither is on the PATH, and npx could not bring Deno");
  process.exit(1);
}
