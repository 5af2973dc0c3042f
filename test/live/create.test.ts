/**
 * A project that `stator create` lays out in an empty folder: its own tests pass, and its engine answers behind Dynamo's
 * own frontend, on each runtime and as the executable that its image holds.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { CHAT, chat, startFrontend } from "../support/frontend.ts";
import { requirePeers } from "../support/peers.ts";
import { start, until } from "../support/processes.ts";
import { createProject, packTarball, type Project } from "../support/project.ts";
import { executable, RUN, type Runtime } from "../support/runtimes.ts";
import { makeStore, type Store } from "../support/store.ts";

const NAME = "demo";

for (const runtime of ["deno", "bun"] as const satisfies Runtime[]) {
  test(`a new project is tested and serves on ${runtime}`, { timeout: 400_000 }, async (t) => {
    if (!requirePeers(t)) return;
    using store = makeStore("create");
    const project = await createProject(runtime, store.path, NAME, await packTarball(store.path));
    await project.install();
    const tested = await project.script("test");
    assert.match(tested, /\b4 pass/, tested);
    assert.match(tested, /\b0 fail/, tested);
    const program = await executable(runtime);
    await assertServes(store, project, [program, ...RUN[runtime], "main.ts"], { HOME: process.env.HOME ?? store.path });
  });
}

test("the executable of a new project's image serves without a runtime", { timeout: 400_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using store = makeStore("create-image");
  const project = await createProject("bun", store.path, NAME, await packTarball(store.path));
  const containerfile = readFileSync(join(project.path, "Containerfile"), "utf8");
  const steps = [...containerfile.matchAll(/^RUN (.+)$/gm)].map(([, command]) => command);
  assert.deepEqual(steps, ["bun install", "bun run build"], "the steps below");
  await project.install();
  await project.script("build");
  const [, built = ""] = /^COPY --from=build \/build\/(\S+)/m.exec(containerfile) ?? [];
  await assertServes(store, project, [join(project.path, built)], { PATH: "/nonexistent" });
});

/** Serves the project's engine behind a frontend until it has answered a chat, and ends it in order. */
async function assertServes(
  store: Store,
  project: Project,
  [program = "", ...args]: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<void> {
  await using frontend = await startFrontend(store);
  await using worker = start({
    name: `${NAME} on ${project.runtime}`,
    executable: program,
    args,
    env: { ...store.env, ...env },
    cwd: project.path,
  });
  await worker.waitFor(/\bServing\b/, 30_000);
  await frontend.listed(NAME);
  const ask = () => frontend.post(CHAT, chat(NAME, "Hello", { max_tokens: 7 }));
  let answer = await ask();
  // A frontend opens the route of its first chat model a moment after it lists the model.
  await until("the route", 10_000, async () => answer.status !== 404 || (answer = await ask()).status !== 404);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  const [{ message, finish_reason }] = answer.body.choices;
  assert.deepEqual([message.content, finish_reason], ["Hello", "length"], "it echoes");
  worker.signal("SIGTERM");
  assert.deepEqual(await worker.exit(30_000), { code: 0, signal: null });
}
