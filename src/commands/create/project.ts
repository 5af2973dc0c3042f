/**
 * A new project as paths and texts.
 *
 * @module
 */
import { COMPOSE, CONTAINERFILE, GRAPH } from "./deploy_template.ts";
import { ENGINE, ENGINE_TEST, MAIN } from "./engine_template.ts";
import { DENO_JSON, IGNORED, PACKAGE_JSON, README } from "./project_template.ts";

const TEMPLATES: Readonly<Record<string, string>> = {
  "engine.ts": ENGINE,
  "engine.test.ts": ENGINE_TEST,
  "main.ts": MAIN,
  "deno.json": DENO_JSON,
  "package.json": PACKAGE_JSON,
  "Containerfile": CONTAINERFILE,
  "compose.yaml": COMPOSE,
  "graph.yaml": GRAPH,
  "README.md": README,
  ".gitignore": IGNORED,
  ".dockerignore": IGNORED,
};

/** What is filled into the templates. */
export interface ProjectNames {
  /** Name of project, model and image. */
  readonly name: string;
  /** Version or address of the package, as `package.json` has it. */
  readonly package: string;
}

/** The files of a project: text by path. */
export function projectFiles(names: ProjectNames): Record<string, string> {
  const words = { ...names, context: ".", containerfile: "Containerfile" };
  return Object.fromEntries(Object.entries(TEMPLATES).map(([path, text]) => [path, fill(text, words)]));
}

/** Puts words in the place of `{{word}}`. */
export function fill(template: string, words: Readonly<Record<string, string>>): string {
  return template.replace(/\{\{(\w+)\}\}/g, (mark, word: string) => words[word] ?? mark);
}
