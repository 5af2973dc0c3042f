import assert from "node:assert/strict";
import { test } from "node:test";
import { createFileStore } from "../../src/discovery/file_store.ts";
import { createStaleness } from "../../src/discovery/staleness.ts";
import type { DiscoveryKey } from "../../src/protocol/record.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { MemoryFiles } from "../support/files.ts";

const KEY: DiscoveryKey = { bucket: "v1/instances", path: "a" };
const PATH = "/store/v1/instances/a";

test("a record that only we have touched is not read again; other content of the same length is seen at once", async () => {
  const clock = new FakeClock();
  const files = new MemoryFiles(clock);
  let reads = 0;
  const read = files.read.bind(files);
  files.read = (path) => (reads++, read(path));
  const random = { number: () => 0, u64: () => 0n, uuid: () => "" };
  const store = createFileStore("/store", files, random, createStaleness(clock, 10_000));
  await store.publish(KEY, "1");
  assert.deepEqual([await store.compare(KEY, "1"), reads], ["same", 1]);
  await store.touch(KEY, "1");
  assert.deepEqual([await store.compare(KEY, "1"), reads], ["same", 1]);
  assert.deepEqual([await store.compare(KEY, "2"), reads], ["other", 2]);
  await clock.advance(1);
  await files.write(PATH, new TextEncoder().encode("2"));
  assert.deepEqual([await store.compare(KEY, "1"), reads], ["other", 3]);
  await store.remove(KEY);
  assert.equal(await store.compare(KEY, "1"), "gone");
});
