/**
 * The option table of docs/mocker.md is that of the mock engine. It stands between `<!-- options -->` and
 * `<!-- /options -->`; `UPDATE_DOCS=1` writes it.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { module } from "../../engines/mocker.ts";
import { ROOT } from "./sources.ts";

const PATH = join(ROOT, "docs", "mocker.md");
const [BEGIN, END] = ["<!-- options -->\n\n", "\n\n<!-- /options -->"] as const;

Deno.test("docs/mocker.md lists every option of the mock engine, as it is", () => {
  const text = readFileSync(PATH, "utf8");
  const [from, to] = [text.indexOf(BEGIN) + BEGIN.length, text.indexOf(END)];
  assert.ok(from >= BEGIN.length && to > from, "the marks are there");
  const table = optionTable();
  if (Deno.env.get("UPDATE_DOCS") === "1") return writeFileSync(PATH, text.slice(0, from) + table + text.slice(to));
  assert.equal(text.slice(from, to), table, "write it with UPDATE_DOCS=1");
});

function optionTable(): string {
  const cells = module.options.map(({ flag, aliases = [], default: fallback, help, unit, deprecated }) => [
    [flag, ...aliases].map((name) => `\`--${name}\``).join(", "),
    fallback === undefined ? "–" : `\`${fallback}\``,
    help + (unit === undefined ? "" : ` (${unit})`) +
    (deprecated === undefined ? "" : `; deprecated: \`${deprecated}\``),
  ]);
  return aligned([["flag", "default", "what it does"], ...cells]);
}

/** Rows as `deno fmt` lays them out. */
function aligned([head, ...rows]: readonly (readonly string[])[]): string {
  const widths = head!.map((_, i) => Math.max(...[head!, ...rows].map((row) => row[i]!.length)));
  const line = (row: readonly string[], fill = " ") =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i]!, fill)).join(" | ")} |`;
  return [line(head!), line(head!.map(() => ""), "-"), ...rows.map((row) => line(row))].join("\n");
}
