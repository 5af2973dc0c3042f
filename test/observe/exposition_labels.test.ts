import assert from "node:assert/strict";
import { test } from "node:test";
import { escapeLabel, injectLabels } from "../../src/observe/exposition_labels.ts";

test("labels are added and sorted; those of the sample stay", () => {
  const labels = injectLabels({ worker_id: "1f", dynamo_namespace: "dynamo", model_name: "m" });
  assert.equal(labels.of(""), '{dynamo_namespace="dynamo",model_name="m",worker_id="1f"}');
  assert.equal(
    labels.of('model_name="own",engine="0",le="1.0"'),
    '{dynamo_namespace="dynamo",engine="0",le="1.0",model_name="own",worker_id="1f"}',
  );
});

test("values are escaped when added, and left escaped when there", () => {
  const labels = injectLabels({ z: 'a"b\\c\nd' });
  assert.equal(labels.of(""), '{z="a\\"b\\\\c\\nd"}');
  assert.equal(labels.of('a="} \\" , x=\\\\"'), '{a="} \\" , x=\\\\",z="a\\"b\\\\c\\nd"}');
  assert.equal(escapeLabel("plain {}=,"), "plain {}=,");
});

test("with nothing to add labels stay as they were written", () => {
  const labels = injectLabels({});
  assert.equal(labels.of(""), "");
  assert.equal(labels.of(" "), "");
  assert.equal(labels.of('b="1", a="2",'), '{b="1", a="2",}');
});

test("malformed labels are told", () => {
  for (const text of ["a", "a=1", 'a="1" b="2"', 'a="1",,', ',a="1"', 'a="1', '"a"']) {
    assert.equal(injectLabels({}).of(text), null, text);
    assert.equal(injectLabels({ x: "y" }).of(text), null, text);
  }
});

test("more label sets than are remembered change nothing", () => {
  const labels = injectLabels({ z: "1" });
  for (const round of [1, 2]) {
    for (let n = 0; n < 20_010; n++) assert.equal(labels.of(`a="${n}"`), `{a="${n}",z="1"}`, `round ${round}`);
  }
});
