/**
 * What lies around the code of a new project: manifests, ignored files, the page that says how to go on.
 *
 * @module
 */

/** `package.json`: npm and Bun install from it, and Deno resolves by it. */
export const PACKAGE_JSON = `{
  "name": "{{name}}",
  "version": "0.1.0",
  "private": true,
  "type": "module",
  "scripts": {
    "start": "bun main.ts",
    "test": "bun test",
    "build": "bun x --bun stator compile main.ts --runtime bun -o dist/{{name}}"
  },
  "dependencies": {
    "@stator/worker": "{{package}}"
  },
  "devDependencies": {
    "@types/node": "24"
  }
}
`;

/** `deno.json`. The modules are those that npm or Bun installed, since Deno installs no packed tarballs. */
export const DENO_JSON = `{
  "nodeModulesDir": "manual",
  "unstable": ["no-legacy-abort"],
  "fmt": { "lineWidth": 120 },
  "tasks": {
    "start": "deno run -A main.ts",
    "test": "deno test -A",
    "build": "stator compile main.ts --runtime deno -o dist/{{name}}"
  }
}
`;

/** `.gitignore`, and `.dockerignore`, which has the same to leave out. */
export const IGNORED = `node_modules/
dist/
`;

/** `README.md`. */
export const README = `# {{name}}

An engine for NVIDIA Dynamo, served by Stator.

| file             | holds                                               |
| ---------------- | --------------------------------------------------- |
| \`engine.ts\`      | the engine and its options; your model goes in here |
| \`main.ts\`        | serves it                                           |
| \`engine.test.ts\` | Dynamo's contract, and one request over the wire    |
| \`Containerfile\`  | an image with one executable in it                  |
| \`compose.yaml\`   | the image beside a Dynamo frontend, on one machine  |
| \`graph.yaml\`     | the same as a graph deployment of Dynamo's operator |

With Bun:

\`\`\`sh
bun install
bun run test
bun run start
\`\`\`

With Deno, and npm to install (where Deno is installed, write \`deno\` for \`npx -y deno@2\`):

\`\`\`sh
npm install
npx -y deno@2 task test
npx -y deno@2 task start
\`\`\`

Then ask it; \`--help\` lists what it can be told:

\`\`\`sh
curl -s localhost:8000/v1/chat/completions -H 'content-type: application/json' \\
  -d '{"model":"{{name}}","messages":[{"role":"user","content":"Hello"}]}'
\`\`\`

Behind a Dynamo frontend on the same machine, both with the same store:

\`\`\`sh
export DYN_DISCOVERY_BACKEND=file DYN_FILE_KV=/tmp/dynamo-store
bun run start
\`\`\`

As one file for machines without a runtime, \`dist/{{name}}\`: \`bun run build\`, or \`deno task build\` for one with Deno in it.
`;
