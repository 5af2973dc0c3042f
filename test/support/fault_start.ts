/**
 * A worker whose engine does not start: `STATOR_TEST_START_FAILS` says how, `typed`, `plain` or `odd`.
 *
 * @module
 */
import process from "node:process";
import { defineEngine, DynamoError, serve } from "@stator/worker";

const FAILURES: Readonly<Record<string, unknown>> = {
  typed: new DynamoError("CannotConnect", "no GPU answers"),
  plain: new Error("no GPU answers"),
  odd: undefined,
};

await serve(defineEngine({
  start: () => Promise.reject(FAILURES[process.env.STATOR_TEST_START_FAILS ?? "plain"]),
  generate: () => {
    throw new Error("never started");
  },
  cleanup: () => console.log("cleanup"),
}));
