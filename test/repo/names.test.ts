/**
 * File names and lengths.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { files, ROOT } from "./sources.ts";

const MOST_LINES = 400;
const FOLDERS = ["src", "engines", "compile", "test", "main.ts", "mod.ts"];

/** What is wrong with a file's name or length; nothing if it is fine. */
function complaints(path: string, lines: number): string[] {
  const name = basename(path).replace(/(?:\.test)?\.ts$/, "");
  const parts = path.split("/").slice(0, -1).concat(name);
  const vague = parts.filter((part) => /^(?:utils?|common|helpers?|index|types|misc|shared)$/.test(part));
  return [
    ...(/^[a-z][a-z0-9_]*$/.test(name) ? [] : [`${path} is not in snake_case`]),
    ...vague.map((part) => `${path}: "${part}" says nothing; name what it holds`),
    ...(lines > MOST_LINES ? [`${path} has ${lines} lines; look for the noun that wants out`] : []),
  ];
}

Deno.test("files are named after what they hold and stay short", () => {
  const paths = FOLDERS.flatMap((folder) => files(folder)).filter((path) =>
    path.endsWith(".ts") && !path.startsWith("test/golden/")
  );
  assert.ok(paths.length > 50, "the files were found");
  const found = paths.flatMap((path) => {
    const lines = readFileSync(join(ROOT, path), "utf8").trimEnd().split("\n").length;
    return complaints(path, lines);
  });
  assert.deepEqual(found, []);
});

Deno.test("complaints() names every kind of bad file", () => {
  assert.match(complaints("src/worker/shutDown.ts", 10).join(), /snake_case/);
  assert.match(complaints("src/worker/shut-down.ts", 10).join(), /snake_case/);
  assert.match(complaints("src/utils/bytes.ts", 10).join(), /says nothing/);
  assert.match(complaints("src/worker/types.ts", 10).join(), /says nothing/);
  assert.match(complaints("src/worker/worker.ts", 401).join(), /401 lines/);
  assert.deepEqual(complaints("src/worker/worker.test.ts", 400), []);
});
