/**
 * ZeroMQ sockets in TypeScript, PUB, SUB, DEALER and ROUTER, and the parts of this machine that they run on.
 *
 * ```ts
 * import { machineParts, openPub, openSub } from "@stator/worker/zmtp";
 *
 * const parts = await machineParts();
 * await using pub = openPub(parts);
 * const endpoint = await pub.bind("tcp://127.0.0.1:*");
 *
 * const heard = Promise.withResolvers<void>();
 * await using sub = openSub({ ...parts, topics: ["news"], onMessage: () => heard.resolve() });
 * sub.connect(endpoint);
 *
 * const text = new TextEncoder();
 * if (await pub.subscribed("news")) pub.publish([text.encode("news"), text.encode("hello")]);
 * await heard.promise;
 * ```
 *
 * @experimental
 * @module
 */
import type { SocketOptions } from "./zmtp/mod.ts";

export * from "./zmtp/mod.ts";

/** What every socket needs from outside. */
export type SocketParts = Pick<SocketOptions, "net" | "clock" | "random">;

/** The parts of this machine. They are loaded by this call, so that a simulation that has its own never sees them. */
export async function machineParts(): Promise<SocketParts> {
  const { realPlatform: { net, clock, random } } = await import("./platform/real.ts");
  return { net, clock, random };
}
