/**
 * Reads NPZ files, as planners write their profiles.
 *
 * @module
 */
import type { TimingTableArrays } from "./timing_table.ts";

const END_OF_DIRECTORY = 0x06054b50;
const DIRECTORY_ENTRY = 0x02014b50;
const STORED = 0;
const DEFLATED = 8;
const END_BYTES = 22;
const ENTRY_BYTES = 46;
const LOCAL_BYTES = 30;
const NPY_MAGIC = "\x93NUMPY";

/**
 * Reads a planner's profile.
 *
 * @throws {TypeError} If the file is no ZIP archive, an array is missing, or an array is not of little-endian doubles.
 * @source dynamo-mocker 1.6.1, `perf_model.rs`, `PerfModel::from_npz`: the names of the arrays
 */
export async function readTimingTable(bytes: Uint8Array<ArrayBuffer>): Promise<TimingTableArrays> {
  const entries = directory(bytes);
  const read = async (name: string): Promise<Float64Array> => {
    const entry = entries.get(`${name}.npy`);
    if (entry === undefined) throw new TypeError(`Cannot read the profile: it has no array ${name}`);
    return doubles(name, await content(bytes, entry));
  };
  return {
    prefill_isl: await read("prefill_isl"),
    prefill_ttft_ms: await read("prefill_ttft_ms"),
    decode_active_kv_tokens: await read("decode_active_kv_tokens"),
    decode_context_length: await read("decode_context_length"),
    decode_itl: await read("decode_itl"),
  };
}

interface Entry {
  readonly method: number;
  readonly size: number;
  readonly offset: number;
}

function directory(bytes: Uint8Array): Map<string, Entry> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let end = bytes.length - END_BYTES;
  while (end >= 0 && view.getUint32(end, true) !== END_OF_DIRECTORY) end--;
  if (end < 0) throw new TypeError("Cannot read the profile: it is no NPZ file");
  const entries = new Map<string, Entry>();
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left--) {
    if (at + ENTRY_BYTES > end || view.getUint32(at, true) !== DIRECTORY_ENTRY) {
      throw new TypeError("Cannot read the profile: the directory of the NPZ file is damaged");
    }
    const nameBytes = view.getUint16(at + 28, true);
    const name = new TextDecoder().decode(bytes.subarray(at + ENTRY_BYTES, at + ENTRY_BYTES + nameBytes));
    entries.set(name, {
      method: view.getUint16(at + 10, true),
      size: view.getUint32(at + 20, true),
      offset: view.getUint32(at + 42, true),
    });
    at += ENTRY_BYTES + nameBytes + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return entries;
}

async function content(bytes: Uint8Array<ArrayBuffer>, { method, size, offset }: Entry): Promise<Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = offset + LOCAL_BYTES + view.getUint16(offset + 26, true) + view.getUint16(offset + 28, true);
  const packed = bytes.subarray(start, start + size);
  if (method === STORED) return packed;
  if (method !== DEFLATED) throw new TypeError(`Cannot read the profile: ZIP method ${method} is not known`);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function doubles(name: string, bytes: Uint8Array): Float64Array {
  const text = (from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));
  if (text(0, 6) !== NPY_MAGIC) throw new TypeError(`Cannot read the profile: ${name} is no NumPy array`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isLong = bytes[6]! > 1;
  const from = isLong ? 12 : 10;
  const start = from + (isLong ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = text(from, start);
  if (!header.includes("'<f8'") || header.includes("'fortran_order': True")) {
    throw new TypeError(`Cannot read the profile: ${name} must hold little-endian doubles, row by row`);
  }
  const values = new Float64Array((bytes.length - start) >> 3);
  for (let i = 0; i < values.length; i++) values[i] = view.getFloat64(start + 8 * i, true);
  return values;
}
