/**
 * Blocks of code in a Markdown page, and the comments right before them that say what to do with them.
 *
 * @module
 */
import { CURRENT } from "./runtimes.ts";
import process from "node:process";

/** A block. */
export interface Block {
  /** Such as `sh`; empty for a mark that stands alone. */
  readonly language: string;
  /** First word of the comment right before it, if any. */
  readonly mark: string;
  /** The rest of that comment. */
  readonly argument: string;
  /** What is in it. */
  readonly text: string;
}

const BLOCK =
  /(?:^<!-- (\w+)(?: ([^\n]+?))? -->\n+)?^```(\w+)[^\n]*\n([\s\S]*?)^```$|^<!-- (\w+) -->$(?!\n+(?:```|<!-- ))/gm;

/** The blocks of a page, in order, and marks that stand alone. */
export function markedBlocks(page: string): Block[] {
  return [...page.matchAll(BLOCK)].map(([, mark = "", argument = "", language = "", text = "", alone = ""]) => ({
    language,
    mark: mark || alone,
    argument,
    text,
  }));
}

/** The commands of a block, one each, without comments. */
export function commands(text: string): string[] {
  return text.split(/(?<!\\)\n/).map((line) => line.trim()).filter((line) => line !== "" && line[0] !== "#");
}

/** A text in which runtimes that npx would bring are those at hand. */
export function ownRuntimes(text: string, bun = "npx -y bun@1"): string {
  const deno = CURRENT === "deno" ? process.execPath : "npx -y deno@2";
  return text.replace(/(^|[\s(])(?:npx -y deno@2|deno)(?= )/g, `$1${deno}`).replaceAll("npx -y bun@1", bun);
}
