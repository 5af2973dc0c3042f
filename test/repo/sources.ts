/**
 * The repository's own source files and what they import.
 *
 * @module
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";

/** Root of the repository. */
export const ROOT: string = fileURLToPath(new URL("../../", import.meta.url));

/** One import, export-from or `import()` of a file. */
export interface Import {
  /** As written, such as `node:net`, or the path from the root if it is one of our files. */
  readonly target: string;
  /** Whether only types come in. */
  readonly typeOnly: boolean;
  /** Whether it is an `import()`. */
  readonly dynamic: boolean;
}

/** A source file. */
export interface Source {
  /** Path from the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

/** TypeScript files below some folders or named, as far as they exist. */
export function sources(...roots: readonly string[]): Source[] {
  return roots.flatMap((root) => files(root)).filter((path) => path.endsWith(".ts")).map((path) => ({
    path,
    text: readFileSync(join(ROOT, path), "utf8"),
  }));
}

/** Paths of all files below a folder, or the file itself; nothing if it does not exist. */
export function files(path: string): string[] {
  const info = statSync(join(ROOT, path), { throwIfNoEntry: false });
  if (info === undefined) return [];
  if (!info.isDirectory()) return [path];
  return readdirSync(join(ROOT, path)).sort().flatMap((name) => files(posix.join(path, name)));
}

// A string, or a comment. Whichever begins first wins, so that neither is mistaken inside the other.
const STRING_OR_COMMENT = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;

/** A text without its comments. */
export function withoutComments(text: string): string {
  return text.replace(STRING_OR_COMMENT, (match) => match.startsWith("/") ? " " : match);
}

/** A text without its comments and without what its strings say. */
export function codeOnly(text: string): string {
  return text.replace(STRING_OR_COMMENT, (match) => match.startsWith("/") ? " " : '""');
}

const STATIC =
  /\b(?:import|export)\s+(type\s+)?(?:[\w$]+|\*(?:\s+as\s+[\w$]+)?|(?:[\w$]+\s*,\s*)?\{[^}]*\})\s*from\s*["']([^"']+)["']/g;
const BARE = /(?:^|[;\n])\s*import\s*["']([^"']+)["']/g;
const DYNAMIC = /\bimport\(\s*["']([^"']+)["']/g;

/** What a file imports. */
export function imports(source: Source): Import[] {
  const code = withoutComments(source.text);
  const target = (specifier: string) =>
    specifier.startsWith(".") ? posix.normalize(posix.join(dirname(source.path), specifier)) : specifier;
  return [
    ...[...code.matchAll(STATIC)].map((match) => ({
      target: target(match[2] ?? ""),
      typeOnly: match[1] !== undefined || bracesHoldOnlyTypes(match[0]),
      dynamic: false,
    })),
    ...[...code.matchAll(BARE)].map((match) => ({ target: target(match[1] ?? ""), typeOnly: false, dynamic: false })),
    ...[...code.matchAll(DYNAMIC)].map((match) => ({ target: target(match[1] ?? ""), typeOnly: false, dynamic: true })),
  ];
}

/** `import { type A, type B } from …` brings in types only, as `import type` does. */
function bracesHoldOnlyTypes(statement: string): boolean {
  const braces = /^(?:import|export)\s*\{([^}]*)\}/.exec(statement)?.[1];
  const names = braces?.split(",").map((name) => name.trim()).filter((name) => name !== "") ?? [];
  return names.length > 0 && names.every((name) => name.startsWith("type "));
}
