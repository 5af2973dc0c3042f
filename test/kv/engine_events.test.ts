import assert from "node:assert/strict";
import { test } from "node:test";
import { EngineEventTranslator, type Translation } from "../../src/kv/engine_events.ts";
import { BlockHasher } from "../../src/protocol/block_hash.ts";
import { decodeEngineBatch } from "../../src/protocol/engine_batch.ts";
import { padToken } from "../../src/protocol/mm_hash.ts";
import { encodeMsgpack } from "../../src/protocol/payload.ts";

const TOKENS = [1, 2, 3, 4];
const stored = (name: number, rest: object = {}) => ({
  ...{ type: "BlockStored", block_hashes: [name], parent_block_hash: null, token_ids: TOKENS, block_size: 4 },
  ...rest,
});
const removed = (name: number, rest: object = {}) => ({ type: "BlockRemoved", block_hashes: [name], ...rest });

/** What becomes of some events of one engine. */
function translate(events: readonly object[], translator = new EngineEventTranslator({ blockSize: 4 })): Translation[] {
  return translator.translate(decodeEngineBatch(encodeMsgpack([0, events, 0])));
}

/** Why events were left out, or where the blocks of the others lie. */
function fates(...events: object[]): string[] {
  return translate(events).map((each) =>
    "change" in each ? each.change.tier : "filtered" in each ? each.filtered : "unusable"
  );
}

/** Local hashes of the first blocks of the stores. */
function hashes(translations: readonly Translation[]): (bigint | string | undefined)[] {
  return translations.map((each) => {
    if (!("change" in each)) return "filtered" in each ? each.filtered : "unusable";
    const { data } = each.change;
    return data !== "cleared" && "stored" in data ? data.stored.blocks[0]?.tokens_hash : undefined;
  });
}

const media: readonly (readonly [string | null, string])[] = [
  ...[[null, "device"], ["", "device"], ["GPU", "device"], ["DEVICE", "device"]] as const,
  ...[["CPU", "host_pinned"], ["CPU_PINNED", "host_pinned"], ["CPU_TIER1", "host_pinned"]] as const,
  ...[["CPU_TIER2", "disk"], ["DISK", "disk"], ["NVME", "disk"], ["STORAGE", "disk"]] as const,
  ...[["EXTERNAL", "external"], ["NETWORK", "external"], ["REMOTE", "external"], ["SHARED", "external"]] as const,
  ...[["FS", "unknown_medium"], ["OBJ", "unknown_medium"], ["toString", "unknown_medium"]] as const,
];

for (const [medium, fate] of media) {
  test(`medium ${medium} is ${fate}`, () =>
    assert.deepEqual(fates(stored(1, { medium }), removed(1, { medium })), [fate, fate]));
}

const filters: readonly (readonly [string, readonly object[], readonly string[]])[] = [
  [
    "locality",
    ["LOCAL", "REMOTE", "?"].map((locality) => stored(1, { locality })),
    ["device", "non_local_locality", "non_local_locality"],
  ],
  [
    "ownership",
    [null, "framework", "kvcr"].map((ownership) => stored(1, { ownership })),
    ["device", "unknown_ownership", "unsupported_ownership"],
  ],
  ["clearing by others", [{ type: "AllBlocksCleared", ownership: "kvcr" }], ["unsupported_ownership"]],
  ["unknown kinds of events", [{ type: "BlockMoved" }], ["ignored_event"]],
  [
    "kinds of attention",
    ["full_attention", "mla_attention", "sink_full_attention", "mamba", "?"].map((kv_cache_spec_kind) =>
      stored(1, { kv_cache_spec_kind })
    ),
    ["device", "device", "device", "non_main_attention_kind", "unknown_kind"],
  ],
  [
    "groups, which are learned",
    [
      ...[stored(1, { group_idx: 0 }), stored(1, { group_idx: 2 })],
      ...[stored(1, { group_idx: 2, kv_cache_spec_kind: "full_attention" }), removed(1, { group_idx: 2 })],
      ...[stored(1, { group_idx: 0, kv_cache_spec_kind: "mamba" }), stored(2, { group_idx: 0 })],
      ...[stored(1, { group_idx: 3, kv_cache_spec_kind: "?" }), stored(2, { group_idx: 3 })],
    ],
    [
      ...["device", "unlearned_group_idx", "device", "device"],
      ...["non_main_attention_kind", "non_main_attention_group", "unknown_kind", "unknown_kind"],
    ],
  ],
  ["a parent among its blocks", [stored(5, { parent_block_hash: 5 })], ["unusable"]],
  ["a block twice", [stored(5, { block_hashes: [5, 6, 5] })], ["unusable"]],
];

for (const [name, events, expected] of filters) {
  test(`filtered by ${name}`, () => assert.deepEqual(fates(...events), expected));
}

test("a child takes its parent's namespace, until that is unclear or gone", () => {
  const plain = new BlockHasher(4).localHashes(TOKENS)[0];
  const salted = new BlockHasher(4, { cacheNamespace: "a" }).localHashes(TOKENS)[0];
  const child = stored(2, { parent_block_hash: 1 });
  const salt = (cache_salt: string) => stored(1, { cache_salt });
  assert.deepEqual(hashes(translate([salt("a"), child])), [salted, salted]);
  assert.deepEqual(hashes(translate([stored(1), child])), [plain, plain]);
  assert.deepEqual(hashes(translate([salt("a"), salt("b"), child])).at(-1), "ambiguous_cache_namespace");
  assert.deepEqual(hashes(translate([salt("b"), salt("a"), { ...child, cache_salt: "a" }])).at(-1), salted);
  assert.deepEqual(hashes(translate([salt("a"), removed(1), child])).at(-1), plain);
  assert.deepEqual(hashes(translate([salt("a"), { type: "AllBlocksCleared" }, child])).at(-1), plain);
});

test("blocks of another size are counted as left out, and so are those without tokens", () => {
  const [other, short] = translate([stored(1, { block_size: 8 }), stored(1, { block_hashes: [1, 2] })]);
  assert.ok(other && "change" in other && short && "change" in short);
  assert.deepEqual([other.left, short.left], [1, 1]);
});

test("with an image token, images are hashed by their pad tokens", () => {
  const block_mm_infos = [{ mm_objects: [{ mm_hash: 77, offsets: [[1, 3]] }] }];
  const event = stored(1, { token_ids: [1, 9, 9, 4], block_mm_infos });
  const hasher = new BlockHasher(4);
  const padded = hasher.localHashes([1, padToken(77n), padToken(77n), 4])[0];
  assert.deepEqual(hashes(translate([event], new EngineEventTranslator({ blockSize: 4, imageTokenId: 9 }))), [padded]);
  const mixed = hasher.localHashes([1, 9, 9, 4], [{ mm_objects: [{ mm_hash: 77n, offsets: [] }] }])[0];
  assert.deepEqual(hashes(translate([event])), [mixed]);
});
