/**
 * Where the files of this package lie, for tools that need the files themselves.
 *
 * @module
 */
import type { Files } from "../platform/platform.ts";
import { CompileError } from "./compile_job.ts";

/** The package's name, by which engines import it. */
export const PACKAGE = "@stator/worker";

/** This package on disk: a checkout, or an installed copy. */
export interface PackageFiles {
  /** Its folder, with a slash at the end. */
  readonly root: URL;
  /** The program `stator`. */
  readonly main: string;
  /** Where each entry lies, by the name it is imported by. */
  readonly entries: Readonly<Record<string, URL>>;
  /** Whether it is a checkout, whose own `deno.json` says how its files are resolved. */
  readonly isCheckout: boolean;
}

/**
 * Finds the package's files.
 *
 * @param self Address of a module two folders below the package's own.
 * @throws {CompileError} If they are not on disk, as in a compiled binary.
 */
export async function findPackageFiles(files: Files, self: string): Promise<PackageFiles> {
  const root = new URL("../../", self);
  const manifest = await readManifest(files, root);
  if (manifest?.name !== PACKAGE) {
    throw new CompileError(
      `Cannot compile from inside a compiled program, which holds no files of ${PACKAGE}: run npx -y ${PACKAGE} compile`,
    );
  }
  const extension = self.slice(self.lastIndexOf("."));
  const entries = Object.entries(manifest.exports).map(([name, target]) => {
    const path = typeof target === "string" ? target : target.default;
    return [PACKAGE + name.slice(1), new URL(path, root)] as const;
  });
  return {
    root,
    main: pathOf(new URL(`main${extension}`, root)),
    entries: Object.fromEntries(entries),
    isCheckout: extension === ".ts",
  };
}

interface Manifest {
  readonly name: string;
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
}

async function readManifest(files: Files, root: URL): Promise<Manifest | null> {
  if (root.protocol !== "file:") return null;
  try {
    return JSON.parse(new TextDecoder().decode(await files.read(pathOf(new URL("package.json", root)))));
  } catch {
    return null;
  }
}

/** The path of a file's address. */
export function pathOf({ pathname }: URL): string {
  return decodeURIComponent(pathname).replace(/^\/(?=[A-Za-z]:)/, "");
}

/** The address of a file or, with a slash at the end, of a folder; of relative ones that below the working directory. */
export function addressOf(files: Files, path: string): URL {
  const from = (text: string) => text.replaceAll("\\", "/").split("/").map(encodeURIComponent).join("/");
  const drive = (text: string) => from(text).replace(/^(?=[A-Za-z]%3A)/, "/").replace("%3A", ":");
  return new URL(drive(path), new URL(`${drive(files.workingDirectory)}/`, "file:///"));
}
