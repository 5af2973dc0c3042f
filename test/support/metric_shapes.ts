/**
 * The shapes of a worker's metrics, and how ours differ from those of Dynamo's worker; every difference has its reason.
 *
 * @module
 */
import assert from "node:assert/strict";

const PER_RANK = "per-rank gauges come with the snapshots of the KV publisher";
const KV_EVENTS = "counted by the publisher of KV events";

/** What Dynamo's worker has and ours has not, with the reason. */
const THEIRS: Readonly<Record<string, string>> = {
  dynamo_component_gpu_cache_usage_percent: PER_RANK,
  dynamo_component_total_blocks: PER_RANK,
  dynamo_component_kv_publisher_engines_dropped_events_total: KV_EVENTS,
};

/** What ours has and Dynamo's worker has not, with the reason. */
const OURS: Readonly<Record<string, string>> = {
  stator_build_info: "says which framework and runtime answer",
  stator_engine_abort_ignored_total: "Dynamo's worker waits for such an engine for ever",
  stator_engine_deadline_exceeded_total: "Dynamo's worker has no deadline for an engine",
};

/** An endpoint of the capture for recovery of KV events, under the same families as the one that serves. */
const RECOVERY = /dynamo_endpoint="worker_kv_query_source_/;

interface Shape {
  readonly help: string;
  readonly type: string;
  /** Samples without values: name, and labels in their order; what only this worker has is left out. */
  readonly samples: readonly string[];
}

function shapes(text: string): Map<string, Shape> {
  const families = text.trimEnd().split(/\n(?=# HELP )/).map((family): [string, Shape] => {
    const [help = "", type = "", ...lines] = family.split("\n");
    const samples = lines.filter((line) => !RECOVERY.test(line)).map((line) =>
      line.slice(0, line.lastIndexOf(" ")).replace(/(worker_id|error_type)="\w+"/g, '$1="?"')
    );
    return [help.split(" ")[2]!, { help, type, samples: [...new Set(samples)] }];
  });
  return new Map(families);
}

/** Checks that two expositions differ by what is listed above, or by `theirsOnly`: by all of it and by nothing else. */
export function assertParity(oursText: string, theirsText: string, theirsOnly = THEIRS): void {
  const [ours, theirs] = [shapes(oursText), shapes(theirsText)];
  assert.deepEqual(without(ours, OURS), without(theirs, theirsOnly));
  // A list that is longer than the difference would hide the next one.
  for (const name of Object.keys(theirsOnly)) assert.ok(theirs.has(name) && !ours.has(name), name);
  for (const name of Object.keys(OURS)) assert.ok(ours.has(name) && !theirs.has(name), name);
}

const without = (families: Map<string, Shape>, names: Readonly<Record<string, string>>): [string, Shape][] =>
  [...families].filter(([name]) => !(name in names));
