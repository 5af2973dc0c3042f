/** The bugs that `deno task planted` plants still fit the code. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BUGS, edited } from "../soak/bugs.ts";
import { ROOT } from "./sources.ts";

for (const [name, edits] of Object.entries(BUGS)) {
  Deno.test(`${name} can be planted`, () => {
    const texts = new Map<string, string>();
    for (const edit of edits) {
      const text = texts.get(edit.file) ?? readFileSync(join(ROOT, edit.file), "utf8");
      texts.set(edit.file, edited(text, edit));
    }
  });
}
