/**
 * The shapes of a worker's metrics, and how ours differ from those of Dynamo's worker; every difference has its reason.
 *
 * @module
 */
import assert from "node:assert/strict";

/** What ours has and Dynamo's worker has not, with the reason. */
const OURS: Readonly<Record<string, string>> = {
  stator_build_info: "says which framework and runtime answer",
  stator_engine_abort_ignored_total: "Dynamo's worker waits for such an engine for ever",
  stator_engine_deadline_exceeded_total: "Dynamo's worker has no deadline for an engine",
};

const EVENTS = "Dynamo's worker does not tell what becomes of its events";

/** What ours has besides if it publishes events. */
const OURS_WITH_EVENTS: Readonly<Record<string, string>> = {
  ...OURS,
  stator_event_messages_published_total: EVENTS,
  stator_event_messages_dropped_total: EVENTS,
  stator_event_subscribers_cut_total: EVENTS,
  stator_event_waiting_bytes: EVENTS,
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

/** Checks that ours is theirs and what is listed above: all of it and nothing else. */
export function assertParity(oursText: string, theirsText: string, hasEvents = true): void {
  const [ours, theirs] = [shapes(oursText), shapes(theirsText)];
  const listed = hasEvents ? OURS_WITH_EVENTS : OURS;
  assert.deepEqual([...ours].filter(([name]) => !(name in listed)), [...theirs]);
  // A list that is longer than the difference would hide the next one.
  for (const name of Object.keys(listed)) assert.ok(ours.has(name) && !theirs.has(name), name);
}
