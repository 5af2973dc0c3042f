/** What runtimes are told that this package does not run on. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { OLDEST, runtimeFault, runtimeName } from "../../src/platform/runtime.ts";
import { createWorkerOn, serveOn } from "../../src/serve.ts";
import { chunk } from "../../src/protocol/output.ts";
import { UsageError } from "../../src/worker/command_line.ts";
import { platformWith, probeEngine } from "../support/worker_rig.ts";

const { engine } = probeEngine(async function* () {
  yield chunk.stop();
});

test("a runtime that is too old is told what to get", () => {
  assert.equal(
    runtimeFault("deno 2.8.3"),
    "Stator needs Deno 2.9.0 or later, this is 2.8.3; get it with deno upgrade, or npx -y deno@2",
  );
  assert.equal(
    runtimeFault("bun 1.3.14"),
    "Stator needs Bun 1.4.0 or later, this is 1.3.14; get it with bun upgrade, or npx -y bun@1",
  );
  assert.match(runtimeFault("node 24.1.0")!, /^Stator does not run on Node \(this is 24\.1\.0\), but on Deno .* Bun /);
});

test("the oldest and later ones are fine, builds of them too, and what is unknown", () => {
  const { deno, bun } = OLDEST;
  for (
    const fine of [
      `deno ${deno}`,
      `bun ${bun}`,
      "deno 2.10.0",
      "deno 3.0.0+abc",
      "bun 1.4.0-canary.1",
      "bun 2.0",
      "x 0",
    ]
  ) {
    assert.equal(runtimeFault(fine), null, fine);
  }
  for (const old of ["deno 1.46.3", "deno 2.8.9", "bun 1.3.99", "bun 0.9.0", "bun 1.3.14-canary.2"]) {
    assert.notEqual(runtimeFault(old), null, old);
  }
  assert.equal(runtimeFault(runtimeName()), null);
});

test("serve() ends with code 2 and that line, createWorker() throws it", async () => {
  const errors: string[] = [];
  const { process } = platformWith();
  const platform = platformWith({
    runtime: "bun 1.2.0",
    process: { ...process, printError: (line) => void errors.push(line) },
  });
  assert.equal(await serveOn(platform, engine, { argv: ["--help"] }), 2);
  assert.deepEqual(errors, [runtimeFault("bun 1.2.0")]);
  assert.throws(() => createWorkerOn(platform, engine, {}), new UsageError(errors[0]!));
});

test("package.json says the same", () => {
  const { engines } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  assert.deepEqual(engines, { deno: `>=${OLDEST.deno}`, bun: `>=${OLDEST.bun}` });
});
