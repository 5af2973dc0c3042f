/** The table of docs/operations.md has every target of the log, and nothing that is not there. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { sources, withoutComments } from "./sources.ts";

test("docs/operations.md lists the targets of the log", () => {
  const text = Deno.readTextFileSync(new URL("../../docs/operations.md", import.meta.url));
  const [, table = ""] = /\n\| target +\|.*\n((?:\|.*\n)+)/.exec(text) ?? [];
  const listed = [...table.matchAll(/^\|([^|]+)\|/gm)].flatMap(([, cell]) =>
    [...cell!.matchAll(/`([^`]+)`/g)].map(([, target]) => target)
  );
  const inCode = sources("src").flatMap(({ text }) =>
    [...withoutComments(text).matchAll(/(?:targetLog\(|target:)[^;\n]*?"(stator(?:::\w+)?)"/g)].map(([, target]) =>
      target
    )
  );
  assert.deepEqual(listed.sort(), [...new Set(inCode)].sort());
});
