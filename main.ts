/**
 * The command `stator`: engines and subcommands by name. The imports are literal, since compilers embed only those.
 *
 * @module
 */
import { requireRuntime } from "./src/platform/runtime.ts";

requireRuntime();
// Not before: an old runtime would stop at syntax it does not know, and say so only.
const { run } = await import("./src/commands/run.ts");

await run({
  engines: {
    sample: async () => (await import("./engines/sample.ts")).module,
    mocker: async () => (await import("./engines/mocker.ts")).module,
  },
  commands: {
    compile: () => import("./src/commands/compile.ts"),
    conformance: () => import("./src/commands/conformance.ts"),
    create: () => import("./src/commands/create.ts"),
    simulate: () => import("./src/commands/simulate.ts"),
    replay: () => import("./src/commands/replay.ts"),
  },
});
