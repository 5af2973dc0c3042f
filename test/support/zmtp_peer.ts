/**
 * The other side of a ZMTP connection, byte by byte.
 *
 * @module
 */
import { realPlatform } from "../../src/platform/real.ts";
import { decodeCommand, encodeCommand } from "../../src/zmtp/command.ts";
import { FrameDecoder } from "../../src/zmtp/frame.ts";
import { encodeGreeting, GREETING_BYTES } from "../../src/zmtp/greeting.ts";
import type { SocketEvent } from "../../src/zmtp/links.ts";
import { encodeSubscriptionMessage } from "../../src/zmtp/subscriptions.ts";
import { FakeClock } from "./fake_clock.ts";
import { type FakeConn, FakeNet } from "./fake_net.ts";

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
export const hex = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
export const unhex = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));

/** READY of a peer of that type. */
export function ready(type: string): Uint8Array {
  return encodeCommand({ name: "READY", metadata: new Map([["Socket-Type", bytes(type)]]) });
}

/** A subscription as ZMTP 3.1 has it. */
export function subscribe(topic: string): Uint8Array {
  return encodeCommand({ name: "SUBSCRIBE", topic: bytes(topic) });
}

/** A subscription as ZMTP 3.0 has it. */
export function legacySubscribe(topic: string, isWanted = true): Uint8Array {
  return encodeSubscriptionMessage({ topic: bytes(topic), isWanted });
}

/** Lets a connection become ready with a peer of that type; what we wrote for it is forgotten. */
export async function greet(clock: FakeClock, conn: FakeConn, type: string, minor = 1): Promise<void> {
  conn.say(encodeGreeting({ major: 3, minor, mechanism: "NULL" }), ready(type));
  await clock.settle();
  conn.take();
}

/** What frames say: text for messages, name and data for commands. */
export function readFrames(bytes: Uint8Array): string[] {
  const found: string[] = [];
  new FrameDecoder(Infinity).push(bytes, (body, isCommand, hasMore) => {
    if (!isCommand) return void found.push(text(body) + (hasMore ? "+" : ""));
    const command = decodeCommand(body);
    if (command.name === "ERROR") found.push(`ERROR ${command.reason}`);
    else if ("topic" in command) found.push(`${command.name} ${text(command.topic)}`);
    else if ("context" in command) found.push(`${command.name} ${text(command.context)}`);
    else found.push(command.name);
  });
  return found;
}

/** Frames that follow our greeting. */
export function readAfterGreeting(bytes: Uint8Array): string[] {
  return readFrames(bytes.subarray(GREETING_BYTES));
}

/** A clock, a net and a record of events, to open a socket with. */
export function makeRig() {
  const clock = new FakeClock();
  const net = new FakeNet();
  const events: SocketEvent[] = [];
  // Half of everything: pauses have their middle length.
  const random = { ...realPlatform.random, number: () => 0.5 };
  const onEvent = (event: SocketEvent) => void events.push(event);
  return { clock, net, events, options: { clock, net, random, onEvent } };
}
