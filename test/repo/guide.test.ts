/**
 * Each command of the guide is one that `live/guide.test.ts` executes, and its files are those it names.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { markedBlocks } from "../support/marked_blocks.ts";
import { ROOT } from "./sources.ts";

const BLOCKS = markedBlocks(readFileSync(join(ROOT, "docs/guide.md"), "utf8"));

Deno.test("every block of the guide has a mark, and what is started ends", () => {
  const marks: Readonly<Record<string, readonly string[]>> = {
    sh: ["runs", "serves", "asks"],
    ts: ["file"],
    "": ["ends"],
  };
  for (const { language, mark, text } of BLOCKS) assert.ok(marks[language]?.includes(mark), `${mark}: ${text}`);
  const order = BLOCKS.map(({ mark }) => mark);
  assert.ok(order.lastIndexOf("ends") > order.lastIndexOf("serves"));
});

Deno.test("markedBlocks() finds marks before blocks, and those that stand alone", () => {
  const page =
    "<!-- file a.ts -->\n\n```ts\nx;\n```\n\n```sh\ny\n```\n\n<!-- ends -->\n\nText\n\n<!-- runs -->\n\n```sh\nz\n```\n";
  assert.deepEqual(markedBlocks(page).map(({ language, mark, argument, text }) => [language, mark, argument, text]), [
    ["ts", "file", "a.ts", "x;\n"],
    ["sh", "", "", "y\n"],
    ["", "ends", "", ""],
    ["sh", "runs", "", "z\n"],
  ]);
});
