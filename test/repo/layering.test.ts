/**
 * The layers hold, and the check can tell when they do not.
 */
import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { complaints } from "./layers.ts";
import { imports, ROOT, sources } from "./sources.ts";

const OURS = ["src", "engines", "compile", "main.ts", "mod.ts"];

Deno.test("every file imports only what its layer may", () => {
  const found = sources(...OURS);
  assert.ok(found.length > 20, "the sources were found");
  assert.deepEqual(found.flatMap(complaints), []);
});

Deno.test("only those who use NATS load it", () => {
  const found = sources(...OURS).flatMap(imports).filter(({ target }) => target.startsWith("@nats-io/"));
  assert.ok(found.length > 0);
  assert.ok(found.every(({ typeOnly, dynamic }) => typeOnly || dynamic));
});

Deno.test("imports() finds what deno finds", async () => {
  const known = new Map(sources(...OURS).map((source) => [source.path, source]));
  for (const module of await graph("main.ts")) {
    const path = relative(ROOT, fileURLToPath(module.specifier));
    const source = known.get(path);
    assert.ok(source, `${path} is among the sources`);
    const mine = new Set(imports(source).map((found) => found.target));
    for (const { specifier, code, type } of module.dependencies) {
      const url = code?.specifier ?? type?.specifier ?? "";
      const isRelative = specifier.startsWith(".");
      const target = isRelative ? relative(ROOT, fileURLToPath(url)) : specifier;
      assert.ok(mine.has(target), `${path} imports ${target}`);
    }
  }
});

const BAD: readonly { readonly path: string; readonly text: string; readonly complaint: RegExp }[] = [
  { path: "src/protocol/x.ts", text: `import net from "node:net";`, complaint: /must not import the package node:net/ },
  { path: "src/protocol/x.ts", text: `export * from "../engine/engine.ts";`, complaint: /must not import src\/engine/ },
  { path: "src/engine/x.ts", text: `import { a, b } from "../worker/worker.ts";`, complaint: /\(worker\)/ },
  {
    path: "src/pipeline/x.ts",
    text: `import { T } from "../discovery/discovery.ts";`,
    complaint: /\(discovery seam\)$/,
  },
  {
    path: "src/pipeline/x.ts",
    text: `import type { T } from "../discovery/file.ts";`,
    complaint: /\(discovery\) as a type/,
  },
  { path: "src/request_plane/x.ts", text: `import "../response_plane/tcp.ts";`, complaint: /\(response plane\)/ },
  { path: "src/worker/x.ts", text: `import { F } from "../discovery/file.ts";`, complaint: /\(discovery\)/ },
  { path: "src/worker/x.ts", text: `import { real } from "../platform/real.ts";`, complaint: /\(real platform\)/ },
  { path: "src/serve.ts", text: `import { g } from "./gateway/gateway.ts";`, complaint: /\(gateway\)/ },
  { path: "src/serve.ts", text: `import { g } from "./testing/mod.ts";`, complaint: /\(testing\)/ },
  { path: "engines/x.ts", text: `import { e } from "../src/engine/engine.ts";`, complaint: /\(engine\)/ },
  { path: "main.ts", text: `import { sample } from "./engines/sample.ts";`, complaint: /\(engines\)/ },
  { path: "src/worker/x.ts", text: "const id = setTimeout(() => {}, 1);", complaint: /must not use setTimeout/ },
  { path: "src/platform/tcp_node.ts", text: "const t = performance.now();", complaint: /must not use performance.now/ },
  { path: "src/model/x.ts", text: "Deno.readTextFile('x');", complaint: /must not use Deno.readTextFile/ },
  { path: "src/somewhere/x.ts", text: "", complaint: /belongs to no layer/ },
];

for (const { path, text, complaint } of BAD) {
  Deno.test(`complaints() names ${JSON.stringify(text)} in ${path}`, () => {
    const found = complaints({ path, text });
    assert.equal(found.length, 1, JSON.stringify(found));
    assert.match(found[0] ?? "", complaint);
  });
}

const GOOD: readonly { readonly path: string; readonly text: string }[] = [
  { path: "src/pipeline/x.ts", text: `import type { Clock } from "../platform/platform.ts";` },
  { path: "src/pipeline/x.ts", text: `import { type A, type B } from "../discovery/discovery.ts";` },
  { path: "src/platform/x.ts", text: `import net from "node:net";\nDeno.env.get("X");` },
  { path: "src/platform/real.ts", text: "export const now = () => performance.now();" },
  { path: "src/engine/x.ts", text: "// setTimeout and Deno.serve in a comment\n/* import x from 'node:net' */" },
  { path: "src/engine/x.ts", text: `const help = "uses setTimeout, see // Deno.serve";` },
  { path: "src/serve.ts", text: `const { g } = await import("./gateway/gateway.ts");` },
  { path: "engines/x.ts", text: `import { e } from "@stator/worker";\nimport y from "anything";` },
];

for (const { path, text } of GOOD) {
  Deno.test(`complaints() has nothing against ${JSON.stringify(text)} in ${path}`, () => {
    assert.deepEqual(complaints({ path, text }), []);
  });
}

interface GraphModule {
  readonly specifier: string;
  readonly dependencies: readonly {
    readonly specifier: string;
    readonly code?: { readonly specifier?: string };
    readonly type?: { readonly specifier?: string };
  }[];
}

/** Our own files that an entry loads, as Deno sees them. */
async function graph(entry: string): Promise<GraphModule[]> {
  const command = new Deno.Command(Deno.execPath(), { args: ["info", "--json", join(ROOT, entry)], cwd: ROOT });
  const { stdout, success } = await command.output();
  assert.ok(success);
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: Partial<GraphModule>[] };
  return modules.flatMap(({ specifier = "", dependencies = [] }) =>
    specifier.startsWith("file:") && !specifier.includes("/node_modules/") ? [{ specifier, dependencies }] : []
  );
}
