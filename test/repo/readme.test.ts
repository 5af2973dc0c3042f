/**
 * What the README says is true: its code compiles, its first worker runs, its commands work, its table is complete.
 *
 * A `sh` block is run if a comment right before it says how: `<!-- serves -->` starts one command and leaves it running,
 * `<!-- asks -->` runs commands against it, `<!-- runs -->` runs commands that end by themselves. The options table
 * stands between `<!-- options -->` and `<!-- /options -->`; `UPDATE_README=1` writes it.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { formatTable } from "../../src/worker/command_line.ts";
import { WORKER_OPTIONS } from "../../src/worker/option_rows.ts";
import { type Child, freePort, run, start, temporaryFolder, until } from "../support/processes.ts";
import { commands, markedBlocks, ownRuntimes } from "../support/marked_blocks.ts";
import { ROOT } from "./sources.ts";

const PATH = join(ROOT, "README.md");
const README = existsSync(PATH) ? readFileSync(PATH, "utf8") : "";

const BLOCKS = markedBlocks(README);

Deno.test("the README's TypeScript compiles", async () => {
  assert.ok(BLOCKS.some((block) => block.language === "ts"), "there is some");
  const checked = await deno(["check", "--quiet", "--doc-only", "README.md"]);
  assert.equal(checked.code, 0, checked.output);
});

Deno.test("the README's first worker answers", async () => {
  const worker = BLOCKS.find((block) => block.language === "ts" && block.text.includes("serve("));
  assert.ok(worker, "the README begins with a worker");
  using folder = temporaryFolder("readme");
  const file = join(folder.path, "worker.ts");
  writeFileSync(file, worker.text);
  // Fed on standard input it counts as a file of this folder, and so finds the package by its name.
  await using child = shell(`exec '${Deno.execPath()}' run -A - --gateway-port 0 < '${file}'`, {});
  const url = await listening(child);
  const models = await (await fetch(`${url}/v1/models`)).json() as { data: { id: string }[] };
  const response = await fetch(`${url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: models.data[0]?.id, prompt: "Hello" }),
  });
  assert.equal(response.status, 200);
  const { choices } = await response.json() as { choices: { text: string }[] };
  assert.equal(choices[0]?.text, "Hello", "it echoes");
});

Deno.test("the README's commands work", async () => {
  const marked = BLOCKS.filter((block) => block.language === "sh" && block.mark !== "");
  assert.ok(marked.some((block) => block.mark === "serves"), "one of them serves");
  await using servers = new AsyncDisposableStack();
  let url = "";
  for (const { mark, text } of marked) {
    for (const command of commands(text).map((line) => ownPort(ownRuntimes(line), url))) {
      if (mark === "serves") {
        const env = { STATOR_GATEWAY_PORT: String(await freePort()) };
        url = await listening(servers.use(shell(`exec env ${command}`, env)));
        continue;
      }
      assert.ok(mark === "asks" || mark === "runs", `unknown mark: ${mark}`);
      const program = command.split(" ")[0] ?? "";
      if (!isInstalled(program)) {
        console.log(`skipped: ${program} is not installed`);
        continue;
      }
      await using child = shell(command, {});
      const exit = await child.exit(120_000);
      assert.equal(exit.code, 0, `${command}\n${child.output()}`);
      assert.notEqual(child.stdout().trim(), "", `${command} prints something`);
      assert.doesNotMatch(child.stdout(), /"error"/, command);
    }
  }
});

Deno.test("the README's options table is the one of the program", () => {
  const [before, rest = ""] = README.split("<!-- options -->");
  const [table = "", after] = rest.split("<!-- /options -->");
  const expected = formatTable(WORKER_OPTIONS);
  if (Deno.env.get("UPDATE_README") === "1") {
    writeFileSync(PATH, `${before}<!-- options -->\n\n${expected.trim()}\n\n<!-- /options -->${after}`);
    return;
  }
  assert.deepEqual(cells(table), cells(expected));
});

/** Rows and cells of a table, however it is aligned. */
function cells(table: string): string[][] {
  const rows = table.trim().split("\n").filter((line) => line.startsWith("|") && !/^\|[\s:|-]+\|$/.test(line));
  return rows.map((row) => row.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim()));
}

/** A command with the port the server really has. */
function ownPort(command: string, url: string): string {
  return url === "" ? command : command.replace(/(?:http:\/\/)?(?:localhost|127\.0\.0\.1):8000/g, url);
}

async function listening(child: Child): Promise<string> {
  const [, url = ""] = await child.waitFor(/listening on (http:\/\/[\w.:[\]]+)/, 30_000);
  await until("an answer", 10_000, async () => {
    const response = await fetch(`${url}/v1/models`);
    await response.body?.cancel();
    return response.ok;
  });
  return url;
}

function shell(command: string, env: Readonly<Record<string, string>>): Child {
  return start({ name: command, executable: "/bin/sh", args: ["-c", command], env, cwd: ROOT });
}

function deno(args: readonly string[]): ReturnType<typeof run> {
  const env = { NO_COLOR: "1" };
  return run({ name: `deno ${args[0]}`, executable: Deno.execPath(), args, env, cwd: ROOT }, 120_000);
}

function isInstalled(program: string): boolean {
  const folders = (Deno.env.get("PATH") ?? "").split(delimiter);
  return program.includes("/") || folders.some((folder) => existsSync(join(folder, program)));
}
