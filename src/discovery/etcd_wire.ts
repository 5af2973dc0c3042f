/**
 * The words of etcd's JSON gateway: 64-bit numbers are decimal strings, bytes are base64, false and zero are left out.
 *
 * @module
 */
import { encodeText } from "../protocol/payload.ts";
import type { DiscoveryBucket, DiscoveryKey } from "../protocol/record.ts";

/** A decoded answer. */
export type EtcdJson = Readonly<Record<string, unknown>>;

/** One key as etcd has it. */
export interface EtcdEntry {
  /** The record's key. */
  readonly key: DiscoveryKey;
  /** Its text; empty in the report of a deletion. */
  readonly value: string;
  /** Revision of its last change. */
  readonly revision: bigint;
  /** The lease it hangs on; 0 if it hangs on none. */
  readonly lease: bigint;
}

/** One change of a watched key. */
export interface EtcdChange extends EtcdEntry {
  /** Whether the key is gone. */
  readonly isDeleted: boolean;
}

/** The path and the body of one call. */
export interface EtcdCall {
  /** Path on the gateway. */
  readonly path: string;
  /** JSON. */
  readonly body: EtcdJson;
}

const lenient = new TextDecoder();

/** Asks for a lease, of a number of our own if one is named. */
export function leaseGrant(ttlSeconds: number, lease?: bigint): EtcdCall {
  return { path: "/v3/lease/grant", body: { TTL: ttlSeconds, ...(lease === undefined ? {} : { ID: String(lease) }) } };
}

/** Asks which keys hang on a lease; one that is not there has none. */
export function leaseKeys(lease: bigint): EtcdCall {
  return { path: "/v3/lease/timetolive", body: { ID: String(lease), keys: true } };
}

/** Renews a lease. */
export function leaseKeepAlive(lease: bigint): EtcdCall {
  return { path: "/v3/lease/keepalive", body: { ID: String(lease) } };
}

/** Ends a lease, and with it the keys that hang on it. */
export function leaseRevoke(lease: bigint): EtcdCall {
  return { path: "/v3/lease/revoke", body: { ID: String(lease) } };
}

/** Asks a member how it is. */
export function status(): EtcdCall {
  return { path: "/v3/maintenance/status", body: {} };
}

/** Asks for a token. */
export function authenticate(name: string, password: string): EtcdCall {
  return { path: "/v3/auth/authenticate", body: { name, password } };
}

/** Writes a key if it is as it was, which is absent at revision 0; else reads it. */
export function putIfUnchanged(key: DiscoveryKey, value: string, lease: bigint, revision: bigint): EtcdCall {
  const name = toBase64(nameOf(key));
  const condition = revision === 0n
    ? { target: "VERSION", result: "EQUAL", version: "0" }
    : { target: "MOD", result: "EQUAL", modRevision: `${revision}` };
  return {
    path: "/v3/kv/txn",
    body: {
      compare: [{ key: name, ...condition }],
      success: [{ requestPut: { key: name, value: toBase64(value), lease: String(lease) } }],
      failure: [{ requestRange: { key: name } }],
    },
  };
}

/** Deletes a key, by its whole name. */
export function deleteKey(name: string): EtcdCall {
  return { path: "/v3/kv/deleterange", body: { key: toBase64(name) } };
}

/** Reads a bucket. */
export function rangeOf(bucket: DiscoveryBucket): EtcdCall {
  return { path: "/v3/kv/range", body: bounds(bucket) };
}

/** Watches a bucket from a revision on. */
export function watchOf(bucket: DiscoveryBucket, revision: bigint): EtcdCall {
  return { path: "/v3/watch", body: { create_request: { ...bounds(bucket), start_revision: String(revision) } } };
}

/** All keys that begin with the bucket and a slash: up to the character after the slash, which is 0. */
function bounds(bucket: DiscoveryBucket): { readonly key: string; readonly range_end: string } {
  return { key: toBase64(`${bucket}/`), range_end: toBase64(`${bucket}0`) };
}

/** The store's revision when it answered. @throws {TypeError} If the answer has none. */
export function revisionOf(answer: EtcdJson): bigint {
  return integer(object(answer.header).revision);
}

/** A 64-bit number of an answer; absent is 0. @throws {TypeError} If it is none. */
export function integer(value: unknown): bigint {
  if (value === undefined) return 0n;
  if (typeof value !== "string" || !/^-?\d{1,20}$/.test(value)) throw unexpected(value);
  return BigInt(value);
}

/** An object of an answer; absent is empty. @throws {TypeError} If it is none. */
export function object(value: unknown): EtcdJson {
  if (value === undefined) return {};
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw unexpected(value);
  return value as EtcdJson;
}

/** The entries of a range in a bucket. @throws {TypeError} If the answer is not of that shape. */
export function entries(bucket: DiscoveryBucket, range: EtcdJson): EtcdEntry[] {
  return array(range.kvs).map((entry) => decodeEntry(bucket, object(entry)));
}

/** The names of the keys in the answer to {@linkcode leaseKeys}. @throws {TypeError} If it is not of that shape. */
export function leasedNames(answer: EtcdJson): string[] {
  return array(answer.keys).map(text);
}

/** The changes of one message of a watch. @throws {TypeError} If the message is not of that shape. */
export function changes(bucket: DiscoveryBucket, message: EtcdJson): EtcdChange[] {
  return array(message.events).map(object).map(({ type, kv }) => ({
    ...decodeEntry(bucket, object(kv)),
    isDeleted: type === "DELETE",
  }));
}

/** What stands in the way of a {@linkcode putIfUnchanged}; `null` if nothing does any more. */
export function obstacle(bucket: DiscoveryBucket, answer: EtcdJson): EtcdEntry | null {
  const [response] = array(answer.responses);
  return entries(bucket, object(object(response).response_range))[0] ?? null;
}

function decodeEntry(bucket: DiscoveryBucket, entry: EtcdJson): EtcdEntry {
  return {
    key: { bucket, path: text(entry.key).slice(bucket.length + 1) },
    value: text(entry.value),
    revision: integer(entry.mod_revision),
    lease: integer(entry.lease),
  };
}

function array(value: unknown): readonly unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw unexpected(value);
  return value;
}

/** The whole name of a key. */
export function nameOf({ bucket, path }: DiscoveryKey): string {
  return `${bucket}/${path}`;
}

function toBase64(value: string): string {
  return encodeText(value).toBase64();
}

/** Bytes that are no text are still reported: it is for the reader of the record to refuse them. */
function text(value: unknown): string {
  if (value === undefined) return "";
  if (typeof value !== "string") throw unexpected(value);
  return lenient.decode(Uint8Array.fromBase64(value));
}

function unexpected(value: unknown): TypeError {
  return new TypeError(`etcd answered something that it should not: ${JSON.stringify(value)?.slice(0, 100)}`);
}
