/**
 * Identities of images and other media in block hashes.
 *
 * @module
 */
import { encodeText } from "./payload.ts";
import { Xxh3 } from "./xxh3.ts";

const UNSEEDED = new Xxh3(0n);
const PAD_BASE = 1_000_000;
const PAD_BITS = 30;

/**
 * The 64-bit hash of a medium that is named by a text: of 64 hexadecimal digits the first 16 are it, anything else is
 * hashed.
 *
 * @source dynamo-llm 1.6.1, multimodal identifiers
 */
export function mmHashOf(identifier: string): bigint {
  if (/^[0-9a-f]{64}$/i.test(identifier)) return BigInt(`0x${identifier.slice(0, 16)}`);
  return UNSEEDED.hash(encodeText(identifier));
}

/** The token that a router hashes in the place of each placeholder of an image. @source dynamo-llm 1.6.1, `pad_value` */
export function padToken(mmHash: bigint): number {
  return PAD_BASE + Number(BigInt.asUintN(PAD_BITS, mmHash));
}

/**
 * The tokens with each run of placeholders replaced by its image's pad token. Runs take the hashes in order; runs
 * beyond them take the last.
 *
 * @source dynamo-llm 1.6.1, KV event publisher: images are hashed by their pad tokens, as the frontend does it
 */
export function withPadTokens(tokens: Uint32Array, imageToken: number, mmHashes: readonly bigint[]): Uint32Array {
  if (mmHashes.length === 0) return tokens;
  const padded = tokens.slice();
  let run = -1;
  for (let i = 0; i < padded.length; i++) {
    if (tokens[i] !== imageToken) continue;
    if (i === 0 || tokens[i - 1] !== imageToken) run = Math.min(run + 1, mmHashes.length - 1);
    padded[i] = padToken(mmHashes[run]!);
  }
  return padded;
}
