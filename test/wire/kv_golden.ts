/**
 * Captures of the event plane, typed.
 *
 * @module
 */
import { goldenText } from "../support/golden.ts";
import { fromHex, toHex } from "./transcript.ts";

/** One captured message. */
export interface EventCapture {
  /** Name of the call that led to it. */
  readonly label: string;
  /** Its topic. */
  readonly topic: string;
  /** The four ZMQ frames. */
  readonly frames: readonly Uint8Array[];
}

/** One message over NATS. */
export interface NatsCapture {
  /** Its subject. */
  readonly subject: string;
  /** The envelope. */
  readonly payload: Uint8Array;
}

interface RawCapture {
  readonly label?: string;
  readonly topic: string;
  readonly frames_hex: readonly string[];
}

/** The messages of a file of ZMQ captures. */
export function eventCaptures(file: "event_plane_messages" | "zmq_direct_frames"): EventCapture[] {
  return golden<RawCapture[]>(file).map(({ label = file, topic, frames_hex }) => ({
    label,
    topic,
    frames: frames_hex.map(fromHex),
  }));
}

/** The messages over NATS. */
export function natsCaptures(): NatsCapture[] {
  return golden<{ subject: string; payload_hex: string }[]>("nats_messages")
    .map(({ subject, payload_hex }) => ({ subject, payload: fromHex(payload_hex) }));
}

/** What engines sent, by label. */
export function engineCaptures(): { readonly label: string; readonly frames: readonly Uint8Array[] }[] {
  return golden<RawCapture[]>("vllm_zmq_inputs")
    .map(({ label, frames_hex }) => ({ label: label!, frames: frames_hex.map(fromHex) }));
}

/** A file of captures. */
export function golden<T>(file: string): T {
  return JSON.parse(goldenText(`events/${file}.json`));
}

/** Frames in hexadecimal, for comparing. */
export function hexOf(frames: readonly Uint8Array[]): string[] {
  return frames.map(toHex);
}
