import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeFileName, encodeFileName } from "../../src/discovery/file_name.ts";
import {
  decodeInstance,
  decodeModel,
  encodeInstance,
  encodeModel,
  instanceKey,
  modelKey,
  slug,
} from "../../src/protocol/record.ts";
import { goldenEntries, goldenText } from "../support/golden.ts";

for (const { capture, bucket, key, value } of goldenEntries()) {
  if (bucket === "v1/instances") {
    test(`endpoint record of ${capture}: ${key}`, () => {
      const record = decodeInstance(value);
      assert.equal(encodeInstance(record), value);
      assert.deepEqual(instanceKey(record, record.instance_id), { bucket, path: key });
    });
  }
  if (bucket === "v1/mdc") {
    test(`model record of ${capture}: ${key}`, () => {
      const record = decodeModel(value);
      assert.equal(encodeModel(record), value);
      assert.deepEqual(modelKey(record, record.instance_id, record.model_suffix), { bucket, path: key });
    });
  }
}

test("encodeFileName() gives the captured names, and decodeFileName() the keys back", () => {
  for (const { key, file_name } of goldenEntries()) {
    assert.equal(encodeFileName(key), file_name);
    assert.equal(decodeFileName(file_name), key);
  }
});

test("slug() gives the captured slugs", () => {
  for (const { in: name, out } of JSON.parse(goldenText("discovery/slug.json"))) assert.equal(slug(name), out);
});
