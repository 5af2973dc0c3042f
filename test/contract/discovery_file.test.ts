import assert from "node:assert/strict";
import { test } from "node:test";
import type { Discovery, DiscoveryEvent } from "../../src/discovery/discovery.ts";
import { type FileDiscoveryOptions, openFileDiscovery } from "../../src/discovery/file.ts";
import { decodeFileName } from "../../src/discovery/file_name.ts";
import { createLog, type Log } from "../../src/observe/log.ts";
import type { Files } from "../../src/platform/platform.ts";
import type { DiscoveryKey } from "../../src/protocol/record.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { MemoryFiles } from "../support/files.ts";
import { goldenEntries } from "../support/golden.ts";

const ROOT = "/store";
const KEY: DiscoveryKey = { bucket: "v1/instances", path: "dynamo/sample/generate/1d470de9970943fd" };
const PATH = `${ROOT}/v1/instances/dynamo%2Fsample%2Fgenerate%2F1d470de9970943fd`;
const FOREIGN = `${ROOT}/v1/instances/dynamo%2Fsample%2Fgenerate%2Fabc`;
/** Time between two keep-alives: a third of the TTL. */
const BEAT_MS = 3334;

interface World {
  readonly clock: FakeClock;
  readonly files: MemoryFiles;
  readonly lines: string[];
  open(options?: Partial<FileDiscoveryOptions> & { readonly files?: Files }): Promise<Discovery>;
}

function createWorld(): World {
  const clock = new FakeClock();
  const files = new MemoryFiles(clock);
  const lines: string[] = [];
  const log: Log = createLog({ wallTime: () => 0, write: (line) => lines.push(line.slice(line.indexOf(" ") + 1)) });
  let drawn = 0n;
  const random = { number: () => 0, u64: () => drawn++, uuid: () => "" };
  return {
    clock,
    files,
    lines,
    open: (options = {}) =>
      openFileDiscovery({ root: ROOT, log, platform: { clock, files: options.files ?? files, random }, ...options }),
  };
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

test("file discovery lays out a store as a stock worker does", async () => {
  const { files, open } = createWorld();
  await using discovery = await open();
  const entries = goldenEntries("mocker");
  for (const { bucket, key, value } of entries) {
    await discovery.put({ bucket: bucket as DiscoveryKey["bucket"], path: key }, value);
  }
  assert.deepEqual(files.paths, entries.map(({ bucket, file_name }) => `${ROOT}/${bucket}/${file_name}`).sort());
  for (const { bucket, file_name, value } of entries) {
    assert.equal(text(await files.read(`${ROOT}/${bucket}/${file_name}`)), value);
  }
});

/** Files that note the operations which change names. */
function recording(files: MemoryFiles): Files & { readonly operations: string[] } {
  const operations: string[] = [];
  const short = (path: string): string => path.replace(/\/.*\//, "").replace(/^\.tmp_[0-9a-f]{16}$/, ".tmp_*");
  return {
    operations,
    temporaryDirectory: "/tmp",
    workingDirectory: "/",
    read: (path) => files.read(path),
    list: (path) => files.list(path),
    stat: (path) => files.stat(path),
    touch: (path) => files.touch(path),
    makeDirectory: (path) => files.makeDirectory(path),
    write(path, value) {
      operations.push(`write ${short(path)}`);
      return files.write(path, value);
    },
    link(from, to) {
      operations.push(`link ${short(from)} ${short(to)}`);
      return files.link(from, to);
    },
    rename(from, to) {
      operations.push(`rename ${short(from)} ${short(to)}`);
      return files.rename(from, to);
    },
    remove(path) {
      operations.push(`remove ${short(path)}`);
      return files.remove(path);
    },
  };
}

test("put() never writes in place: temporary file, hard link, temporary file removed", async () => {
  const { files, open } = createWorld();
  const recorder = recording(files);
  await using discovery = await open({ files: recorder });
  await discovery.put(KEY, "1");
  const name = PATH.slice(PATH.lastIndexOf("/") + 1);
  assert.deepEqual(recorder.operations, ["write .tmp_*", `link .tmp_* ${name}`, "remove .tmp_*"]);
});

for (const code of ["ENOTSUP", "EPERM"]) {
  test(`put() publishes by rename where links fail with ${code}`, async () => {
    const { files, open } = createWorld();
    files.failures.set("link", code);
    await using discovery = await open();
    await discovery.put(KEY, "1");
    assert.deepEqual(files.paths, [PATH]);
    assert.equal(text(await files.read(PATH)), "1");
  });
}

test("put() that fails leaves no temporary file and owns nothing", async () => {
  const { files, clock, open } = createWorld();
  await using discovery = await open();
  files.failures.set("link", "EIO");
  await assert.rejects(discovery.put(KEY, "1"), {
    message: /^Cannot write to the discovery store .*\(DYN_FILE_KV names a folder\)$/,
  });
  files.failures.clear();
  await clock.advance(BEAT_MS);
  assert.deepEqual(files.paths, []);
});

test("put() replaces a stale record under its key and says so", async () => {
  const { files, clock, lines, open } = createWorld();
  await files.makeDirectory(`${ROOT}/v1/instances`);
  await files.write(PATH, bytes("stale"));
  await clock.advance(9000);
  await using discovery = await open();
  await discovery.put(KEY, "fresh");
  assert.equal(text(await files.read(PATH)), "fresh");
  assert.equal((await files.stat(PATH)).modifiedAt, clock.wallTime());
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /WARN Discovery record replaced.*key=v1\/instances\/dynamo\/sample/);
});

test("own records are touched every third of the TTL and outlive it", async () => {
  const { files, clock, lines, open } = createWorld();
  await using discovery = await open();
  await discovery.put(KEY, "1");
  const published = (await files.stat(PATH)).modifiedAt;
  await clock.advance(BEAT_MS - 10);
  assert.equal((await files.stat(PATH)).modifiedAt, published);
  await clock.advance(10);
  assert.ok((await files.stat(PATH)).modifiedAt > published);
  await clock.advance(60_000);
  assert.equal((await discovery.list("v1/instances")).length, 1);
  assert.deepEqual(lines, []);
});

test("keep-alives come no faster than once a second", async () => {
  const { files, clock, open } = createWorld();
  await using discovery = await open({ ttlMs: 1500 });
  await discovery.put(KEY, "1");
  const published = (await files.stat(PATH)).modifiedAt;
  await clock.advance(999);
  assert.equal((await files.stat(PATH)).modifiedAt, published);
  await clock.advance(1);
  assert.equal((await files.stat(PATH)).modifiedAt, published + 1000);
});

test("files of others are ignored once older than the TTL, and removed at the next keep-alive", async () => {
  const { files, clock, lines, open } = createWorld();
  await using discovery = await open();
  await discovery.put(KEY, "1");
  await files.write(FOREIGN, bytes("2"));
  await files.write(`${ROOT}/v1/instances/.tmp_0123456789abcdef`, bytes("half"));
  const seen: string[] = [];
  await using _watch = await discovery.watch("v1/instances", (event) => seen.push(`${event.kind} ${event.key.path}`));
  assert.equal((await discovery.list("v1/instances")).length, 2, "the temporary file is no record");
  await clock.advance(10_001);
  assert.deepEqual((await discovery.list("v1/instances")).map((record) => record.key), [KEY]);
  await clock.advance(BEAT_MS);
  assert.deepEqual(files.paths, [PATH]);
  assert.equal(seen.at(-1), "delete dynamo/sample/generate/abc");
  assert.equal(lines.filter((line) => line.includes("Expired discovery records removed")).length, 1);
});

test("one party of a process is enough to remove dead files; the others ignore them", async () => {
  const { files, clock, open } = createWorld();
  await using discovery = await open({ sweeps: false });
  await discovery.put(KEY, "1");
  await files.write(FOREIGN, bytes("2"));
  await clock.advance(10_001 + BEAT_MS);
  assert.deepEqual(files.paths, [FOREIGN, PATH].sort());
  assert.equal((await discovery.list("v1/instances")).length, 1);
  await using _sweeper = await open();
  await _sweeper.list("v1/instances");
  await clock.advance(BEAT_MS);
  assert.deepEqual(files.paths, [PATH]);
});

test("files of others in a bucket that is not in use are left alone", async () => {
  const { files, clock, open } = createWorld();
  await files.makeDirectory(`${ROOT}/v1/mdc`);
  await files.write(`${ROOT}/v1/mdc/x`, bytes("1"));
  await using discovery = await open();
  await discovery.put(KEY, "1");
  await clock.advance(30_000);
  assert.ok(files.paths.includes(`${ROOT}/v1/mdc/x`));
  await discovery.list("v1/mdc");
  await clock.advance(BEAT_MS);
  assert.ok(!files.paths.includes(`${ROOT}/v1/mdc/x`));
});

test("two processes keep each other's records alive only by their own touching", async () => {
  const { files, clock, open } = createWorld();
  await using a = await open();
  const b = await open();
  await a.put(KEY, "a");
  await b.put({ bucket: "v1/instances", path: "dynamo/sample/generate/abc" }, "b");
  await clock.advance(60_000);
  assert.deepEqual(files.paths, [PATH, FOREIGN].sort());
  await b[Symbol.asyncDispose]();
  assert.deepEqual(files.paths, [PATH]);
});

test("a record deleted while this process was paused is published again, and the log says why", async () => {
  const { files, clock, lines, open } = createWorld();
  await using discovery = await open();
  await discovery.put(KEY, "1");
  await files.remove(PATH);
  await clock.pause(15_000);
  assert.equal(text(await files.read(PATH)), "1");
  assert.deepEqual(lines, [
    " WARN Discovery record published again key=v1/instances/dynamo/sample/generate/1d470de9970943fd " +
    'reason="this process was paused for 15.0 s, longer than the 10.0 s a record lives"',
  ]);
});

test("a record that somebody deleted is published again", async () => {
  const { files, clock, lines, open } = createWorld();
  await using discovery = await open();
  await discovery.put(KEY, "1");
  await files.remove(PATH);
  await clock.advance(BEAT_MS);
  assert.deepEqual(files.paths, [PATH]);
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /WARN .*reason="somebody deleted it"/);
});

test("the store recovers from the deletion of its directory", async () => {
  const { files, clock, lines, open } = createWorld();
  await using discovery = await open();
  await discovery.put(KEY, "1");
  const seen: DiscoveryEvent[] = [];
  await using _watch = await discovery.watch("v1/instances", (event) => seen.push(event));
  files.removeDirectory(ROOT);
  assert.deepEqual(await discovery.list("v1/instances"), []);
  await clock.advance(BEAT_MS + 250);
  assert.deepEqual(files.paths, [PATH]);
  assert.match(lines[0] ?? "", /WARN .*reason="somebody deleted its directory"/);
  assert.deepEqual(seen.map((event) => event.kind), ["put", "delete", "put"]);
});

test("a record with foreign content is replaced", async () => {
  const { files, clock, lines, open } = createWorld();
  await using discovery = await open();
  await discovery.put(KEY, "1");
  await files.write(PATH, bytes("2"));
  await clock.advance(BEAT_MS);
  assert.equal(text(await files.read(PATH)), "1");
  assert.match(lines[0] ?? "", /WARN .*reason="its content was changed"/);
});

test("delete() waits for a keep-alive that is just publishing the record again", async () => {
  const { files, clock, open } = createWorld();
  await using discovery = await open();
  await discovery.put(KEY, "1");
  await files.remove(PATH);
  let deletion: Promise<void> | undefined;
  files.hooks.set("link", async () => {
    deletion = discovery.delete(KEY);
    // Time enough for a deletion that does not wait.
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  });
  await clock.advance(BEAT_MS);
  assert.ok(deletion);
  await deletion;
  assert.deepEqual(files.paths, []);
});

test("a record deleted since a keep-alive began is not published again by it", async () => {
  const { files, clock, open } = createWorld();
  await using discovery = await open();
  const second: DiscoveryKey = { bucket: "v1/instances", path: "second" };
  await discovery.put(KEY, "1");
  await discovery.put(second, "2");
  let deletion: Promise<void> | undefined;
  files.hooks.set("touch", () => {
    deletion ??= discovery.delete(second);
  });
  await clock.advance(BEAT_MS);
  assert.ok(deletion);
  assert.deepEqual(files.paths, [PATH]);
});

test("put() makes the directory again when it is deleted under its hands", async () => {
  const { files, open } = createWorld();
  await using discovery = await open();
  let deletions = 0;
  files.hooks.set("write", () => {
    if (deletions++ === 0) files.removeDirectory(ROOT);
  });
  await discovery.put(KEY, "1");
  assert.deepEqual(files.paths, [PATH]);
});

test("a watch that is disposed while it looks reports nothing more", async () => {
  const { files, clock, open } = createWorld();
  await using discovery = await open();
  const seen: string[] = [];
  const watch = await discovery.watch("v1/instances", (event) => seen.push(event.kind));
  await discovery.put(KEY, "1");
  let disposal: Promise<void> | undefined;
  files.hooks.set("read", () => {
    disposal ??= Promise.resolve(watch[Symbol.asyncDispose]());
  });
  await clock.advance(250);
  assert.ok(disposal);
  await disposal;
  assert.equal(seen.length, 0);
});

test("trouble with one keep-alive is told and tried again at the next", async () => {
  const { files, clock, lines, open } = createWorld();
  await using discovery = await open();
  await discovery.put(KEY, "1");
  files.failures.set("read", "EIO");
  await clock.advance(BEAT_MS);
  assert.match(lines[0] ?? "", /WARN Cannot keep discovery record alive .*EIO/);
  files.failures.clear();
  await clock.advance(BEAT_MS);
  assert.equal((await files.stat(PATH)).modifiedAt > clock.wallTime() - 2 * BEAT_MS, true);
});

test("a wall clock that jumps ahead kills nobody, ours or others", async () => {
  const { files, clock, open } = createWorld();
  await using discovery = await open();
  await discovery.put(KEY, "1");
  await files.write(FOREIGN, bytes("2"));
  const seen: string[] = [];
  await using _watch = await discovery.watch("v1/instances", (event) => seen.push(event.kind));
  clock.jumpWallTime(3_600_000);
  assert.equal((await discovery.list("v1/instances")).length, 2);
  await clock.advance(BEAT_MS);
  assert.deepEqual(files.paths, [PATH, FOREIGN].sort());
  assert.deepEqual(seen, ["put", "put"]);
  // Its owner has had a whole TTL to touch it and did not.
  await clock.advance(10_000 + BEAT_MS);
  assert.deepEqual(files.paths, [PATH]);
});

test("after a jump, files that were touched since show that the others are dead", async () => {
  const { files, clock, open } = createWorld();
  await using discovery = await open();
  await discovery.put(KEY, "1");
  await files.write(FOREIGN, bytes("2"));
  clock.jumpWallTime(3_600_000);
  await files.write(`${FOREIGN}0`, bytes("3"));
  await clock.advance(BEAT_MS);
  assert.deepEqual(files.paths, [PATH, `${FOREIGN}0`].sort());
});

test("a watch keeps what it knows while the directory cannot be read, and tells it once", async () => {
  const { files, clock, lines, open } = createWorld();
  await using discovery = await open();
  await discovery.put(KEY, "1");
  const seen: string[] = [];
  await using _watch = await discovery.watch("v1/instances", (event) => seen.push(event.kind));
  files.failures.set("list", "EACCES");
  await clock.advance(2000);
  files.failures.clear();
  await clock.advance(250);
  assert.deepEqual(seen, ["put"]);
  assert.equal(lines.filter((line) => line.includes("Cannot read discovery directory")).length, 1);
});

test("a file that is still empty is no record yet", async () => {
  const { files, clock, open } = createWorld();
  await using discovery = await open();
  await files.makeDirectory(`${ROOT}/v1/instances`);
  await files.write(FOREIGN, bytes(""));
  const seen: string[] = [];
  await using _watch = await discovery.watch("v1/instances", (event) => seen.push(event.kind));
  await clock.advance(250);
  assert.equal(seen.length, 0);
  await files.write(FOREIGN, bytes("1"));
  await clock.advance(250);
  assert.deepEqual(seen, ["put"]);
});

test("decodeFileName() gives no key for names that are none", () => {
  for (const name of [".tmp_0123456789abcdef", "%2", "%zz", "%FF", "ü😀"]) assert.equal(decodeFileName(name), null);
});
