/**
 * Makes one module of a program and everything it imports, so that an executable holds no package it does not use.
 *
 * @module
 */
import type { Files } from "../platform/platform.ts";
import { bundleContents } from "./bundle_contents.ts";
import { CompileError, type CompileJob, folderOf, megabytes, runJobTool, writeText } from "./compile_job.ts";
import { TOOLS } from "./compile_runtime.ts";
import { addressOf, PACKAGE, pathOf } from "./package_files.ts";

/** Makes the module; resolves to its path. @throws {CompileError} If the program cannot be bundled. */
export async function makeBundle(job: CompileJob): Promise<string> {
  const { files, own, runtime, source, output } = job;
  const bundle = job.temporary(folderOf(output), ".js");
  // Ahead, since tools blame a folder they cannot write to in many words.
  await writeText(files, bundle, "");
  const entry = source === null ? own.main : await writeEntry(job, source);
  const isForeign = source !== null && !await namesPackage(files, source);
  const order = {
    entry,
    output: bundle,
    aliases: isForeign ? await writeAliases(job) : null,
    config: isForeign && own.isCheckout ? pathOf(new URL("deno.json", own.root)) : null,
  };
  const end = await runJobTool(job, TOOLS[runtime].bundle(order), { cwd: folderOf(entry) });
  if (end.code === 0) return bundle;
  throw new CompileError(`Cannot bundle ${source ?? "stator"} with ${runtime}`, end.output);
}

/** Writes the program around the author's file, beside it, so that both find the same package. */
async function writeEntry(job: CompileJob, source: string): Promise<string> {
  const entry = job.temporary(folderOf(source), ".ts");
  const lines = [
    `import { serve } from ${JSON.stringify(PACKAGE)};`,
    `import * as file from ${JSON.stringify(`./${source.slice(source.lastIndexOf("/") + 1)}`)};`,
    "const exported = file as Record<string, any>;",
    "const engine = exported.module ?? exported.default;",
    'if (typeof (engine?.generate ?? engine?.create) === "function") await serve(engine);',
  ];
  await writeText(job.files, entry, lines.join("\n"));
  return entry;
}

/** Whether a project around a file says what `@stator/worker` is; if none does, it is this one. */
async function namesPackage(files: Files, source: string): Promise<boolean> {
  for (let folder = folderOf(source);; folder = folderOf(folder)) {
    for (const name of ["deno.json", "deno.jsonc", "package.json"]) {
      const bytes = await files.read(`${folder}/${name}`).catch(() => null);
      if (bytes !== null && new TextDecoder().decode(bytes).includes(PACKAGE)) return true;
    }
    if (!folder.includes("/")) return false;
  }
}

async function writeAliases({ files, own, runtime, output, temporary }: CompileJob): Promise<string> {
  const path = temporary(folderOf(output), ".json");
  const entries = Object.entries(own.entries).map(([name, url]) => [name, { url: url.href, path: pathOf(url) }]);
  await writeText(files, path, JSON.stringify(TOOLS[runtime].aliases(Object.fromEntries(entries))));
  return path;
}

/** The table of what is in the module, by package. */
export async function describeBundle({ files, own, source }: CompileJob, bundle: string): Promise<string> {
  const text = new TextDecoder().decode(await files.read(bundle));
  const base = addressOf(files, `${folderOf(source ?? own.main)}/`);
  const ownerOf = (path: string) => new URL(path, base).href.startsWith(own.root.href) ? PACKAGE : "the engine's files";
  const rows = bundleContents(text, ownerOf).map(({ name, size }) => `${megabytes(size).padStart(12)}  ${name}`);
  return [`Code, ${megabytes(text.length)}, and nothing else of node_modules:`, ...rows].join("\n");
}
