/**
 * A session between a prefill and a decode worker of Dynamo, as it was captured.
 *
 * @module
 */
import { FrameReader, SESSION_HEADER } from "../../engines/mocker/bootstrap/frame.ts";
import type { Message, SessionIdentity } from "../../engines/mocker/bootstrap/message.ts";
import { goldenText } from "./golden.ts";

/** One frame. */
export interface CapturedFrame {
  readonly from: "prefill" | "decode";
  /** With its length in front. */
  readonly bytes: Uint8Array;
  readonly message: Message;
}

/** The header that was captured. */
export const CAPTURED_HEADER: string = capturedLines()[0]!.header_hex!;
/** All frames of the session, in order. */
export const CAPTURED_FRAMES: readonly CapturedFrame[] = capturedLines().flatMap((line) =>
  line.json === undefined ? [] : [captured(line.dir.startsWith("decode"), line.json, line.frame_len!)]
);
/** Whose session it is. */
export const CAPTURED_IDENTITY: SessionIdentity = {
  handoff_id: "af1d385b-898e-4f36-baf1-e566fc1e0863",
  bootstrap_room: 5067963223569089646n,
  request_id: "1a4eaae8-cdf3-479d-8a9a-9b5515a260a9",
};

interface Line {
  readonly dir: string;
  readonly header_hex?: string;
  readonly frame_len?: number;
  /** The text of the body, without the blanks of the capture. */
  readonly json?: string;
}

function capturedLines(): Line[] {
  return goldenText("mocker/live/bootstrap_session.jsonl").trim().split("\n").map((text) => {
    const json = /"json": (\{.*\})\}$/.exec(text)?.[1]?.replaceAll(/([:,]) /g, "$1");
    return { ...JSON.parse(text), json };
  });
}

function captured(isDecode: boolean, json: string, length: number): CapturedFrame {
  const body = new TextEncoder().encode(json);
  if (body.length !== length) throw new Error(`a capture of ${length} bytes has ${body.length}`);
  const bytes = new Uint8Array(4 + length);
  new DataView(bytes.buffer).setUint32(0, length, true);
  bytes.set(body, 4);
  const reader = new FrameReader(false);
  return { from: isDecode ? "decode" : "prefill", bytes, message: reader.push(bytes)[0]!.message };
}

/** Header and frames as one piece of bytes. */
export function withHeader(...frames: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from([SESSION_HEADER, ...frames].flatMap((bytes) => [...bytes]));
}
