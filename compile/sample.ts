/**
 * A program that serves the sample engine and nothing else; compile it to ship one engine as one file.
 *
 * @module
 */
import { serve } from "@stator/worker";
import { module } from "@stator/worker/engines/sample";

await serve(module);
