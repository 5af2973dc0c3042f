/** The table of docs/metrics.md has every metric, with its type and nothing that is not there. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CATALOGUE, type Row } from "../../src/observe/metric_catalogue.ts";

test("docs/metrics.md lists the catalogue", () => {
  const text = Deno.readTextFileSync(new URL("../../docs/metrics.md", import.meta.url));
  const listed = [...text.matchAll(/^\| `(\w+)` +\| (\w+)/gm)].map(([, name, type]) => `${name} ${type}`);
  const rows = Object.values<Row>(CATALOGUE).map(({ name, buckets }) => {
    const type = buckets.length > 0 ? "histogram" : name.endsWith("_total") ? "counter" : "gauge";
    return `${name} ${type}`;
  });
  assert.deepEqual(listed.sort(), rows.sort());
});
