/**
 * `stator create`: lays out a new engine project, from templates that are part of the program.
 *
 * @module
 */
import type { OptionRow } from "../engine/option.ts";
import type { Files, Platform } from "../platform/platform.ts";
import { formatHelp, parseFlags, reportFailure, resolveRows, UsageError } from "../worker/command_line.ts";
import { VERSION } from "../worker/version.ts";
import { projectFiles } from "./create/project.ts";

const group = "Create";

const ROWS: readonly OptionRow[] = [
  {
    key: "package",
    flag: "package",
    type: "string",
    group,
    help: `packed tarball of Stator to copy and use; without, version ${VERSION.stator} of the registry`,
  },
  {
    key: "force",
    flag: "force",
    type: "boolean",
    default: false,
    group,
    help: "write into a folder that has files, over those of the same names",
  },
];

/** Where a project keeps the tarball that it was made with. */
const TARBALL = "vendor/stator-worker.tgz";

/** Longest label of a Kubernetes name, less what the templates add. */
const MAX_NAME = 50;

/** Runs the command: 0 if the project is there, 1 if it could not be written, 2 for bad usage. */
export async function run(argv: readonly string[], { files, process, runtime }: Platform): Promise<number> {
  try {
    if (argv.includes("--help") || argv.includes("-h")) {
      process.print("Usage: stator create <name> [options]\n");
      process.print(formatHelp(ROWS));
      return 0;
    }
    const [first, ...others] = argv;
    const name = checkName(first);
    const values = resolveRows(ROWS, parseFlags(ROWS, others), process.env);
    const tarball = await readTarball(files, values.package as string | undefined);
    if (values.force !== true) await refuseUsed(files, name);
    const fault = await write(files, name, tarball);
    if (fault === null) process.print(nextSteps(name, runtime));
    else process.printError(`create: cannot write into the folder ${name}: ${fault}`);
    return fault === null ? 0 : 1;
  } catch (error) {
    return reportFailure(error, process.printError);
  }
}

function checkName(name: string | undefined): string {
  if (name === undefined || name.startsWith("-")) {
    throw new UsageError("create: the name of the project comes first: stator create my-engine");
  }
  if (name.length <= MAX_NAME && /^[a-z](?:[a-z0-9-]*[a-z0-9])?$/.test(name)) return name;
  throw new UsageError(
    `create: ${
      JSON.stringify(name)
    } cannot name a package, an image and a deployment: use up to ${MAX_NAME} lower-case ` +
      "letters, digits and dashes, a letter first and no dash last",
  );
}

async function readTarball(files: Files, path: string | undefined): Promise<Uint8Array | null> {
  if (path === undefined) return null;
  const bytes = await files.read(path).catch((error: Error) => {
    throw new UsageError(`--package: cannot read ${path}: ${error.message}`);
  });
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return bytes;
  throw new UsageError(`--package: ${path} is no packed tarball (.tgz); "deno task pack" in Stator makes one`);
}

async function refuseUsed(files: Files, name: string): Promise<void> {
  const found = await files.list(folderOf(files, name)).catch((error: Error & { code?: string }) => {
    if (error.code === "ENOENT") return [];
    throw new UsageError(`create: cannot use the folder ${name}: ${error.message}`);
  });
  if (found.length === 0) return;
  throw new UsageError(`create: the folder ${name} is not empty: choose another name, or write into it with --force`);
}

/** Writes the project; resolves to what went wrong, if anything did. */
async function write(files: Files, name: string, tarball: Uint8Array | null): Promise<string | null> {
  const folder = folderOf(files, name);
  const source = tarball === null ? VERSION.stator : `file:./${TARBALL}`;
  const texts = Object.entries(projectFiles({ name, package: source }));
  const contents = texts.map(([path, text]) => [path, new TextEncoder().encode(text)] as const);
  try {
    await files.makeDirectory(tarball === null ? folder : `${folder}/vendor`);
    if (tarball !== null) await files.write(`${folder}/${TARBALL}`, tarball);
    for (const [path, bytes] of contents) await files.write(`${folder}/${path}`, bytes);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

function folderOf(files: Files, name: string): string {
  return `${files.workingDirectory}/${name}`;
}

function nextSteps(name: string, runtime: string): string {
  const commands = runtime.startsWith("bun")
    ? ["bun install", "bun run test", "bun run start"]
    : ["npm install", "npx -y deno@2 task test", "npx -y deno@2 task start"];
  return [`Created ${name}. To test it and to serve it:`, "", ...[`cd ${name}`, ...commands].map((it) => `  ${it}`), ""]
    .join("\n");
}
