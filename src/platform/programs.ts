/**
 * Other programs, over `node:child_process`.
 *
 * @module
 */
import { spawn } from "node:child_process";
import process from "node:process";
import type { Program, ProgramEnd, Programs } from "./platform.ts";

const isWindows = process.platform === "win32";

function run({ file, args, cwd, timeoutMs }: Program): Promise<ProgramEnd> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, [...args], {
      stdio: ["ignore", "pipe", "pipe"],
      // npm's programs are scripts there, which only a shell runs.
      shell: isWindows && !file.endsWith(".exe"),
      killSignal: "SIGKILL",
      ...(cwd === undefined ? {} : { cwd }),
      ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
    });
    let stdout = "";
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      output += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => output += text);
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, output }));
  });
}

/** Programs of this machine. */
export const programs: Programs = { machine: `${process.platform}-${process.arch}`, run };
