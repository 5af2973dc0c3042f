import assert from "node:assert/strict";
import { test } from "node:test";
import { createGroup } from "../../../engines/mocker/engine_factory.ts";
import { parseLaunchArgs, rankArgs } from "../../../engines/mocker/launch_args.ts";
import type { KvEvent } from "../../../engines/mocker/kv_event.ts";
import type { BlockSequence } from "../../../engines/mocker/sequence.ts";
import { goldenText } from "../../support/golden.ts";
import { ALONE } from "../../support/mock_requests.ts";

/** What the peer published of one step: parent and hashes. */
interface Stored {
  readonly parent: string | null;
  readonly hashes: readonly string[];
}

/** One batch a pass, as the peer's mocker sent them: 1 request, then 8 at once, then 6 with a common prefix. */
function recordedBatches(): Stored[][] {
  return goldenText("mocker/live/zmq_kv_events.jsonl").trim().split("\n").map((line) =>
    JSON.parse(line).decoded[1].map((event: Record<string, unknown>) => ({
      parent: event["parent_block_hash"],
      hashes: event["block_hashes"],
    }))
  );
}

/** The blocks of every request: those of its prompt, with what was stored below them. */
function recordedSequences(batches: readonly Stored[][]): string[][] {
  const events = batches.flat();
  const roots = events.filter(({ parent }) => parent === null).map(({ hashes }) => [...hashes]);
  const shared = roots.pop()!;
  for (const root of roots) {
    for (let next = below(root, events); next !== undefined; next = below(root, events)) root.push(...next.hashes);
  }
  const branches = events.filter(({ parent }) => parent === shared[5]).map(({ hashes }) => hashes);
  return [...roots, shared, ...branches.map((hashes) => [...shared.slice(0, 6), ...hashes])];
}

function below(sequence: readonly string[], events: readonly Stored[]): Stored | undefined {
  return events.find(({ parent }) => parent === sequence.at(-1));
}

function sequenceOf(hashes: readonly string[]): BlockSequence {
  return { hashes: new Uint32Array(BigUint64Array.from(hashes, BigInt).buffer), hashThrough: () => {} };
}

function storedOf(events: readonly KvEvent[]): Stored[] {
  return events.map((event) => {
    assert.ok(event.kind === "stored");
    const hashes = [...new BigUint64Array(event.sequence.hashes.buffer)].map(String);
    return {
      parent: hashes[event.first - 1] ?? null,
      hashes: hashes.slice(event.first, event.first + event.count),
    };
  });
}

test("the events of the peer's live run come out of the scheduler in the same batches and order", () => {
  const batches = recordedBatches();
  const sequences = recordedSequences(batches);
  const args = rankArgs(parseLaunchArgs({ engine: { block_size: 16 } }), true);
  const rank = createGroup(args, 1, 0).ranks[0]!;
  const seen: Stored[][] = [];
  const submit = (id: number, promptTokens: number, maxOutputTokens: number) =>
    rank.submit({ id, sequence: sequenceOf(sequences[id]!), promptTokens, maxOutputTokens });
  const pass = () => {
    rank.pass(0, ALONE);
    const events = rank.takeKvEvents();
    if (events.length > 0) seen.push(storedOf(events));
  };
  const finish = () => {
    while (rank.isReady) pass();
  };
  submit(0, 64, 16);
  finish();
  // The first of the eight is alone in its pass; the others arrive while it runs.
  submit(1, 100, 32);
  pass();
  for (let id = 2; id < 9; id++) submit(id, 100, 32);
  finish();
  for (let id = 9; id < 15; id++) {
    submit(id, 112, 8);
    finish();
  }
  assert.deepEqual(seen, batches);
});
