/**
 * The mock engine: Dynamo's simulated engine with its scheduling, timing and cache, without a model.
 *
 * @source dynamo 1.6.1, `dynamo.mocker`; aisimulate-core 0.13.0
 * @module
 */
import type { EngineModule } from "@stator/worker";
import { createLiveEngine } from "./mocker/live/live_engine.ts";
import { MOCKER_OPTIONS } from "./mocker/live/option_rows.ts";
import { settingsOf } from "./mocker/live/option_values.ts";
import { defaultMode } from "./mocker/live/role.ts";

/** The mock engine with its command-line options. */
export const module: EngineModule = {
  options: MOCKER_OPTIONS,
  defaults: (values) => {
    const disaggregationMode = defaultMode(values);
    return { disaggregationMode, component: disaggregationMode === "prefill" ? "prefill" : "backend" };
  },
  create: async (values, place) => createLiveEngine(await settingsOf(values, place)),
};
