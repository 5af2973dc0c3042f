/**
 * The runtimes that make executables, and how each is asked.
 *
 * @module
 */
import type { ProgramEnd, Programs } from "../platform/platform.ts";

/** A runtime that can be put into an executable. */
export type CompileRuntime = "deno" | "bun";

/** A kind of machine that executables are made for. */
export interface CompileTarget {
  /** Its name at each runtime. */
  readonly names: Readonly<Record<CompileRuntime, string>>;
  /** Its name as {@linkcode Programs.machine} has it. */
  readonly machine: string;
}

/** Kinds of machines by our name for them. */
export const TARGETS: Readonly<Record<string, CompileTarget>> = {
  "linux-x64": target("linux-x64", "x86_64-unknown-linux-gnu", "bun-linux-x64"),
  "linux-arm64": target("linux-arm64", "aarch64-unknown-linux-gnu", "bun-linux-arm64"),
  "macos-x64": target("darwin-x64", "x86_64-apple-darwin", "bun-darwin-x64"),
  "macos-arm64": target("darwin-arm64", "aarch64-apple-darwin", "bun-darwin-arm64"),
  "windows-x64": target("win32-x64", "x86_64-pc-windows-msvc", "bun-windows-x64"),
};

function target(machine: string, deno: string, bun: string): CompileTarget {
  return { machine, names: { deno, bun } };
}

/** How a bundle is made. Paths are absolute. */
export interface BundleOrder {
  readonly entry: string;
  readonly output: string;
  /** File that says where `@stator/worker` lies, when the project of the entry does not. */
  readonly aliases: string | null;
  /** Configuration that the package's own files are resolved with, if it has any. */
  readonly config: string | null;
}

/** How an executable is made of a bundle. Paths are absolute. */
export interface ExecutableOrder {
  readonly bundle: string;
  readonly output: string;
  /** Kind of machine at this runtime. */
  readonly target: string | null;
}

/** One runtime's tools, as arguments. */
export interface CompileTool {
  /** Its package on npm, for machines that have nothing but npx. */
  readonly npm: string;
  /** Makes one module of an entry and all that it imports. */
  bundle(order: BundleOrder): readonly string[];
  /** Makes an executable of a module that imports nothing. */
  compile(order: ExecutableOrder): readonly string[];
  /** Runs a module that imports nothing. */
  run(bundle: string): readonly string[];
  /** What a file of aliases says. */
  aliases(entries: Readonly<Record<string, { readonly url: string; readonly path: string }>>): unknown;
}

/** `Request.signal` must not abort when an answer ends in order. */
const UNSTABLE = "--unstable-no-legacy-abort";

/** The tools. */
export const TOOLS: Readonly<Record<CompileRuntime, CompileTool>> = {
  deno: {
    npm: "deno@2",
    bundle: ({ entry, output, aliases, config }) => [
      ...["bundle", "--quiet", "--no-lock"],
      ...(config === null ? [] : ["--config", config]),
      // An installed package has its own packages beside it, whatever the project of the entry has.
      ...(aliases !== null && config === null ? ["--node-modules-dir=manual"] : []),
      ...(aliases === null ? [] : ["--import-map", aliases]),
      ...["--output", output, entry],
    ],
    compile: ({ bundle, output, target }) => [
      ...["compile", "--allow-all", "--no-check", "--no-config", "--no-lock", "--no-remote", UNSTABLE],
      ...(target === null ? [] : ["--target", target]),
      ...["--output", output, bundle],
    ],
    run: (bundle) => [
      ...["run", "--allow-all", "--quiet", "--no-config", "--no-lock", "--no-remote", "--no-npm", UNSTABLE],
      bundle,
    ],
    aliases: (entries) => ({ imports: mapValues(entries, ({ url }) => url) }),
  },
  bun: {
    npm: "bun@1",
    bundle: ({ entry, output, aliases }) => [
      ...["build", "--target=bun", "--format=esm"],
      ...(aliases === null ? [] : [`--tsconfig-override=${aliases}`]),
      ...[entry, "--outfile", output],
    ],
    compile: ({ bundle, output, target }) => [
      // Byte code halves the time to start. What lies in the folder that a worker is started in must not change it.
      ...["build", "--compile", "--bytecode", "--format=esm"],
      ...["--no-compile-autoload-dotenv", "--no-compile-autoload-bunfig"],
      ...(target === null ? [] : [`--target=${target}`]),
      ...[bundle, "--outfile", output],
    ],
    run: (bundle) => ["run", bundle],
    aliases: (entries) => ({ compilerOptions: { paths: mapValues(entries, ({ path }) => [path]) } }),
  },
};

function mapValues<T, R>(record: Readonly<Record<string, T>>, change: (value: T) => R): Record<string, R> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}

/** Runs a runtime: the one on the `PATH`, else that of npm. */
export async function runTool(
  programs: Programs,
  runtime: CompileRuntime,
  args: readonly string[],
  more: { readonly cwd: string; readonly timeoutMs?: number },
): Promise<ProgramEnd> {
  try {
    return await programs.run({ file: runtime, args, ...more });
  } catch (error) {
    if ((error as { code?: string }).code !== "ENOENT") throw error;
    return await programs.run({
      file: "npx",
      args: ["-y", `--package=${TOOLS[runtime].npm}`, "--", runtime, ...args],
      ...more,
    });
  }
}
