import assert from "node:assert/strict";
import { test } from "node:test";
import { type Family, parseExposition } from "../../src/observe/exposition.ts";
import { injectLabels } from "../../src/observe/exposition_labels.ts";
import { FamilyMerge } from "../../src/observe/family_merge.ts";

const read = (text: string): Family[] => parseExposition(text, { labels: injectLabels({}) });

test("a family of two sources has one help, one type and the samples of both", () => {
  const merge = new FamilyMerge(() => false);
  merge.add(read('# HELP a First\n# TYPE a gauge\na{e="0"} 1\nz 1\n'));
  merge.add(read('# HELP a Second\n# TYPE a gauge\na{e="1"} 2\na{e="0"} 3\nb 1\n'));
  assert.equal(merge.text(), '# HELP a First\n# TYPE a gauge\na{e="0"} 1\na{e="1"} 2\nz 1\nb 1\n');
});

test("what was read is not changed", () => {
  const families = read("a 1\n");
  const merge = new FamilyMerge(() => false);
  merge.add(families);
  merge.add(read('a{b="c"} 1\n'));
  assert.equal(families[0]!.samples.length, 1);
});

test("families and samples under the worker's names are refused", () => {
  const merge = new FamilyMerge((name) => name === "own" || name === "own_bucket");
  const refused = merge.add(read("own 1\nown_bucket 1\n# TYPE other histogram\nother_sum 1\nown_total 1\n"));
  assert.deepEqual(refused, [
    { family: "own", reason: "taken by the worker" },
    { family: "own_bucket", reason: "taken by the worker" },
  ]);
  assert.equal(merge.text(), "# TYPE other histogram\nother_sum 1\nown_total 1\n");
});

test("a sample that looks like the worker's refuses its family", () => {
  const merge = new FamilyMerge((name) => name === "x_count");
  assert.equal(merge.add(read("# TYPE x summary\nx_sum 1\nx_count 1\n")).length, 1);
  assert.equal(merge.text(), "");
});

test("a family of two types is that of the first source", () => {
  const merge = new FamilyMerge(() => false);
  assert.deepEqual(merge.add(read("# TYPE a gauge\na 1\n")), []);
  assert.deepEqual(merge.add(read('# TYPE a counter\na{b="c"} 1\n')), [
    { family: "a", reason: "of another type in another source" },
  ]);
  assert.equal(merge.text(), "# TYPE a gauge\na 1\n");
});
