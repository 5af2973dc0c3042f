import assert from "node:assert/strict";
import { test } from "node:test";
import { BlockHasher, loraId, nextSequenceHash, sequenceHashes } from "../../src/protocol/block_hash.ts";
import type { MmInfo } from "../../src/protocol/kv_event.ts";
import { golden } from "./kv_golden.ts";

interface RawMmInfo {
  readonly mm_objects: readonly { readonly mm_hash: string; readonly offsets: [number, number][] }[];
}

interface BlockVectors {
  readonly cases: readonly {
    readonly name: string;
    readonly block_size: number;
    readonly tokens: readonly number[];
    readonly options: {
      readonly lora_name?: string;
      readonly cache_namespace?: string;
      readonly is_eagle?: boolean;
      readonly block_mm_infos?: readonly (RawMmInfo | null)[];
    };
    readonly local_block_hashes?: readonly string[];
    readonly error?: string;
  }[];
  readonly lora_name_to_id: Readonly<Record<string, number>>;
}

const vectors = golden<BlockVectors>("block_hash_vectors");

function mmInfo(raw: RawMmInfo | null): MmInfo | null {
  return raw && { mm_objects: raw.mm_objects.map((each) => ({ ...each, mm_hash: BigInt(each.mm_hash) })) };
}

for (const { name, block_size, tokens, options, local_block_hashes, error } of vectors.cases) {
  test(`local hashes: ${name}`, () => {
    const hasher = () =>
      new BlockHasher(block_size, {
        loraName: options.lora_name ?? null,
        cacheNamespace: options.cache_namespace ?? null,
        isEagle: options.is_eagle ?? false,
      });
    if (error !== undefined) {
      assert.throws(hasher, RangeError);
      return;
    }
    const infos = options.block_mm_infos?.map(mmInfo) ?? [];
    for (const ids of [tokens, Uint32Array.from(tokens)]) {
      assert.deepEqual(Array.from(hasher().localHashes(ids, infos), String), local_block_hashes);
    }
  });
}

test("loraId() gives the captured ids", () => {
  for (const [name, id] of Object.entries(vectors.lora_name_to_id)) assert.equal(loraId(name), id, name);
});

const chains = golden<{ vectors: { tokens_hash: string[]; block_hash: string[] }[] }>("sequence_hash_vectors").vectors;

for (const [i, { tokens_hash, block_hash }] of chains.entries()) {
  test(`sequence hashes: chain ${i}`, () => {
    const local = BigUint64Array.from(tokens_hash, BigInt);
    assert.deepEqual(Array.from(sequenceHashes(local), String), block_hash);
    let parent: bigint | null = null;
    const single = Array.from(local, (hash) => parent = nextSequenceHash(parent, hash));
    assert.deepEqual(single.map(String), block_hash);
    const half = local.length >> 1;
    const rest = sequenceHashes(local.subarray(half), BigInt(block_hash[half - 1]!));
    assert.deepEqual(Array.from(rest, String), block_hash.slice(half));
  });
}
