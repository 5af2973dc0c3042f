/**
 * The guide is true: everything in it works, from top to bottom, in an empty folder.
 *
 * A block of code is used as the comment right before it says: `<!-- runs -->` is run to its end, `<!-- serves -->` is
 * started and goes on until `<!-- ends -->`, `<!-- asks -->` is tried until it succeeds, `<!-- file NAME -->` is written
 * into a file. Folder and variables carry over from block to block, as in a terminal.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { type Block, markedBlocks, ownRuntimes } from "../support/marked_blocks.ts";
import { PEERS, REPOSITORY, requirePeers } from "../support/peers.ts";
import { type Child, freePort, run, start, temporaryFolder, until } from "../support/processes.ts";
import { executable } from "../support/runtimes.ts";

const BLOCKS = markedBlocks(readFileSync(join(REPOSITORY, "docs/guide.md"), "utf8"));

/** Ports that the guide names; a test takes others. */
const PORTS = ["8000", "8100"];

test("everything in the guide works", { timeout: 600_000 }, async (t) => {
  if (!requirePeers(t)) return;
  using folder = temporaryFolder("guide");
  symlinkSync(REPOSITORY, join(folder.path, "stator"));
  await using terminal = await openTerminal(folder.path);
  for (const block of BLOCKS) await terminal.use(block);
  assert.ok(BLOCKS.filter(({ mark }) => mark === "serves").length >= 4, "alone, frontend, worker, prefill, decode");
});

/** A shell that remembers where it is, and what it started. */
interface Terminal extends AsyncDisposable {
  use(block: Block): Promise<void>;
}

async function openTerminal(folder: string): Promise<Terminal> {
  const ports = new Map<string, string>();
  for (const port of PORTS) ports.set(port, String(await freePort()));
  const bun = await executable("bun");
  const memory = mkdtempSync(join(folder, ".terminal-"));
  const [place, variables] = [join(memory, "place"), join(memory, "variables")];
  writeFileSync(place, folder);
  writeFileSync(variables, "");
  const running: Child[] = [];

  const script = (text: string, isLast = false) => {
    const own = ownRuntimes(text, bun).replace(/\b8[01]00\b/g, (port) => ports.get(port) ?? port);
    return [
      `. '${variables}'`,
      `cd "$(cat '${place}')"`,
      // The gateway's port stands in no command; it opens as long as there is no other discovery.
      `[ -n "\${DYN_DISCOVERY_BACKEND-}" ] || export STATOR_GATEWAY_PORT=${ports.get("8000")}`,
      isLast ? `exec ${own.trim()}` : own,
      ...(isLast ? [] : [`pwd > '${place}'`, `unset STATOR_GATEWAY_PORT; export -p > '${variables}'`]),
    ].join("\n");
  };
  const command = (text: string, isLast = false) => ({
    name: text.trim(),
    executable: "/bin/bash",
    args: ["-e", "-o", "pipefail", "-c", script(text, isLast)],
    // Without a terminal's user and machine: what the guide leaves out is left to the defaults.
    env: {
      STATOR_PEERS: PEERS,
      DYN_TCP_RPC_HOST: "127.0.0.1",
      DYN_TCP_RESPONSE_STREAM_HOST: "127.0.0.1",
      DYN_SYSTEM_HOST: "127.0.0.1",
      HOME: process.env.HOME ?? folder,
      NO_COLOR: "1",
    },
    cwd: folder,
  });
  const succeed = async (text: string) => {
    const { code, output } = await run(command(text), 180_000);
    assert.equal(code, 0, `${text}\n${output}`);
  };
  const end = async () => {
    for (const child of running.splice(0).reverse()) {
      child.signal("SIGINT");
      const exit = await child.exit(60_000);
      if (!child.name.includes("python")) assert.equal(exit.code, 0, `${child.name}\n${child.output()}`);
    }
  };

  return {
    async use({ language, mark, argument, text }) {
      if (mark === "file") return writeFileSync(join(readFileSync(place, "utf8").trim(), argument), text);
      if (mark === "ends") return await end();
      assert.ok(language === "sh", `a block of ${language} needs a mark:\n${text}`);
      if (mark === "runs") return await succeed(text);
      if (mark === "asks") return void await until(text, 60_000, () => succeed(text).then(() => true));
      assert.equal(mark, "serves", `unknown mark of a block:\n${text}`);
      const child = start(command(text, true));
      running.push(child);
      // A frontend prints no line to wait for; who asks it tries again.
      if (!text.includes("python")) await child.waitFor(/\bServing\b/, 60_000);
    },
    async [Symbol.asyncDispose]() {
      for (const child of running) await child[Symbol.asyncDispose]();
    },
  };
}
