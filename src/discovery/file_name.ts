/**
 * Names of files in the file backend.
 *
 * @module
 */
import { decodeText, encodeText } from "../protocol/payload.ts";

/** Beginning of the names of files that are being written; readers ignore them. */
export const TEMPORARY_PREFIX = ".tmp_";

/**
 * The file name of a key: of its UTF-8 bytes only letters and digits stay, so it is not `encodeURIComponent`.
 *
 * @source dynamo-runtime 1.6.1, `storage/kv/file.rs`: percent-encoding of all that is not alphanumeric
 */
export function encodeFileName(key: string): string {
  return Array.from(encodeText(key), (byte) => {
    const char = String.fromCharCode(byte);
    return /[A-Za-z0-9]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");
}

/** The key of a file name; `null` for temporary files and for names that are no key. */
export function decodeFileName(name: string): string | null {
  if (name.startsWith(TEMPORARY_PREFIX)) return null;
  const bytes: number[] = [];
  for (let i = 0; i < name.length; i++) {
    const escaped = /^%[0-9A-Fa-f]{2}/.exec(name.slice(i, i + 3));
    if (escaped === null && name[i] === "%") return null;
    bytes.push(escaped === null ? name.charCodeAt(i) : parseInt(escaped[0].slice(1), 16));
    if (escaped !== null) i += 2;
  }
  if (bytes.some((byte) => byte > 0xff)) return null;
  try {
    return decodeText(Uint8Array.from(bytes));
  } catch {
    return null;
  }
}
