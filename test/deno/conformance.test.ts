/** The conformance kit in one line of `Deno.test`, whose sanitizers see that it leaves nothing behind. */
import { sampleEngine } from "@stator/worker/engines/sample";
import { assertConformance, runConformance } from "../../src/testing/mod.ts";

Deno.test("the sample engine keeps the contract", async () => assertConformance(await runConformance(sampleEngine)));

Deno.test("the kit leaves no timer behind in real time either", async () => {
  await runConformance(() => sampleEngine({ delay: 0.001 }), { realTime: true, throw: true });
});
