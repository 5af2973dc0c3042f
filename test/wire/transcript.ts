/** Reads the captured transcripts of test/golden/request-plane/streams. */
import { readFileSync } from "node:fs";

export interface TranscriptFrame {
  /** `rpc` = request connection, `rsp` = response connection. */
  readonly plane: "rpc" | "rsp";
  /** `>` = from the side that dialled. */
  readonly direction: ">" | "<";
  readonly bytes: Uint8Array;
}

const ROOT = new URL("../golden/request-plane/", import.meta.url);

export function goldenBytes(path: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(path, ROOT)));
}

export function goldenText(path: string): string {
  return readFileSync(new URL(path, ROOT), "utf8");
}

/** The two-part frames of a transcript, in order. */
export function twoPartFrames(name: string): TranscriptFrame[] {
  const frames: TranscriptFrame[] = [];
  for (const line of goldenText(`streams/${name}.txt`).split("\n")) {
    const match = /\s(rpc|rsp):\d+ ([<>]) TWO-PART header=\d+ body=\d+ checksum=0\s+([0-9a-f]+)/.exec(line);
    if (match === null) continue;
    frames.push({
      plane: match[1] as "rpc" | "rsp",
      direction: match[2] as ">" | "<",
      bytes: fromHex(match[3]!),
    });
  }
  return frames;
}

export function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
