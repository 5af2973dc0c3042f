/**
 * Sockets of libzmq itself, in Python, see `peers/zmq_peer.py`.
 *
 * @module
 */
import { join } from "node:path";
import { PYTHON, REPOSITORY } from "./peers.ts";
import { type Child, start } from "./processes.ts";

const PROGRAM = join(REPOSITORY, "test/support/peers/zmq_peer.py");

/** Starts a socket in a process of its own; the roles and options are the program's. */
export function startZmq(role: string, endpoint: string, options: Readonly<Record<string, string>> = {}): Child {
  const args = [PROGRAM, role, endpoint, ...Object.entries(options).map(([key, value]) => `${key}=${value}`)];
  return start({ name: `zmq ${role}`, executable: PYTHON, args, env: {} });
}

/** What a subscriber counted. */
export interface Count {
  readonly messages: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly gaps: number;
}

/** Waits for what a `count` has to say. */
export async function counted(child: Child, timeoutMs = 30_000): Promise<Count> {
  const found = await child.waitFor(/count (\d+) (\d+) (\S+) (\d+)/, timeoutMs);
  const [messages, bytes, seconds, gaps] = found.slice(1).map(Number) as [number, number, number, number];
  return { messages, bytes, seconds, gaps };
}
