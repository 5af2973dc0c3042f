/**
 * BLAKE3, as model cards and LoRA ids have it.
 *
 * @module
 */
import { blake3 } from "@noble/hashes/blake3.js";

/** The checksum of a model file: `blake3:` and 64 lower-case hexadecimal digits. */
export function fileChecksum(bytes: Uint8Array): string {
  return `blake3:${blake3Hex(bytes)}`;
}

/** The BLAKE3 digest of bytes in lower-case hexadecimal. */
export function blake3Hex(bytes: Uint8Array): string {
  return Array.from(blake3Bytes(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The 32 bytes of the BLAKE3 digest. */
export function blake3Bytes(bytes: Uint8Array): Uint8Array {
  return blake3(bytes);
}
