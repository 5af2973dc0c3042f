import assert from "node:assert/strict";
import { test } from "node:test";
import { type ExpositionFilter, parseExposition } from "../../src/observe/exposition.ts";
import { injectLabels } from "../../src/observe/exposition_labels.ts";

const AS_IT_IS = injectLabels({});

function read(text: string, filter: Partial<ExpositionFilter> = {}): unknown[] {
  return parseExposition(text, { labels: AS_IT_IS, ...filter }).map(({ name, type, help, samples }) => [
    name,
    type,
    help,
    samples.map(({ series, value }) => `${series} ${value}`),
  ]);
}

test("families keep their order, helps, types, samples and timestamps", () => {
  const text = `# a comment
# HELP vllm:b Two\\nlines
# TYPE vllm:b gauge
vllm:b{engine="0"} 1.5 1700000000000
vllm:b{engine="1",} +Inf
# TYPE a counter

a 3e-05
bare NaN\r
# HELP nothing Without samples
`;
  assert.deepEqual(read(text), [
    ["vllm:b", "gauge", "Two\\nlines", ['vllm:b{engine="0"} 1.5 1700000000000', 'vllm:b{engine="1",} +Inf']],
    ["a", "counter", null, ["a 3e-05"]],
    ["bare", null, null, ["bare NaN"]],
  ]);
  assert.deepEqual(read(""), []);
});

test("the samples of histograms and summaries stay together", () => {
  const text = `# TYPE h histogram
h_bucket{le="1"} 1
h_bucket{le="+Inf"} 2
h_sum 3
h_count 2
# TYPE s summary
s{quantile="0.5"} 1
s_sum 3
s_count 2
h_other 1
`;
  assert.deepEqual(read(text), [
    ["h", "histogram", null, ['h_bucket{le="1"} 1', 'h_bucket{le="+Inf"} 2', "h_sum 3", "h_count 2"]],
    ["s", "summary", null, ['s{quantile="0.5"} 1', "s_sum 3", "s_count 2"]],
    ["h_other", null, null, ["h_other 1"]],
  ]);
});

test("OpenMetrics becomes Prometheus' format", () => {
  const text = `# HELP c Counted
# TYPE c counter
# UNIT c seconds
c_total{a="x # y"} 5 1700000000.25 # {trace_id="1"} 0.5 1.5
c_created 1.7e9
# TYPE h histogram
h_bucket{le="1"} 1 # {trace_id="KOO5S4vxi0o"} 0.67
h_count 1
h_sum 0.5
# TYPE v info
v_info{version="1"} 1
# TYPE s stateset
s{s="on"} 1
# TYPE u unknown
u 1
# EOF
`;
  assert.deepEqual(read(text), [
    ["c_total", "counter", "Counted", ['c_total{a="x # y"} 5 1700000000250']],
    ["c_created", "gauge", "Counted", ["c_created 1.7e9"]],
    ["h", "histogram", null, ['h_bucket{le="1"} 1', "h_count 1", "h_sum 0.5"]],
    ["v_info", "gauge", null, ['v_info{version="1"} 1']],
    ["s", "gauge", null, ['s{s="on"} 1']],
    ["u", "untyped", null, ["u 1"]],
  ]);
});

test("prefixes choose, and exclusions go first", () => {
  const text = `# TYPE vllm:a counter
vllm:a 1
# TYPE vllm:h histogram
vllm:h_bucket{le="+Inf"} 0
vllm:h_sum 0
vllm:h_count 0
lmcache:b 1
process_x 1
`;
  const names = (filter: Partial<ExpositionFilter>): string[] =>
    parseExposition(text, { labels: AS_IT_IS, ...filter }).map(({ name }) => name);
  assert.deepEqual(names({ prefixes: ["vllm:", "lmcache:"] }), ["vllm:a", "vllm:h", "lmcache:b"]);
  assert.deepEqual(names({ prefixes: ["vllm:"], exclude: ["vllm:h"] }), ["vllm:a"]);
  assert.deepEqual(names({ exclude: ["process_"] }), ["vllm:a", "vllm:h", "lmcache:b"]);
  assert.deepEqual(names({ prefixes: [] }), []);
});

for (
  const [what, line] of Object.entries({
    "a page": "<html>",
    "no value": "a",
    "no blank before the value": "ab1",
    "a word for a value": "a b",
    "a bad name": "1a 1",
    "open labels": 'a{b="c" 1',
    "an open quote": 'a{b="c} 1',
    "a label without a value": "a{b} 1",
    "a label without quotes": "a{b=c} 1",
    "a label with a bad name": 'a{b-c="d"} 1',
    "commas only": "a{,} 1",
    "two values": "a 1 x",
    "a fractional timestamp": "a 1 1.5",
    "a type that does not exist": "# TYPE a speed",
    "a type from the prototype": "# TYPE a constructor",
  })
) {
  test(`parseExposition() refuses ${what}`, () => {
    assert.throws(() => parseExposition(`good 1\n${line}\n`, { labels: AS_IT_IS, prefixes: ["good"] }), {
      name: "SyntaxError",
      message: /^line 2 is no line of an exposition: "/,
    });
  });
}

test("the beginning of a line that is refused is shown", () => {
  const line = `x${"y".repeat(1000)}`;
  assert.throws(() => parseExposition(line, { labels: AS_IT_IS }), (error: Error) => error.message.length < 150);
});
