/**
 * A ZeroMQ broker out of our own sockets' parts: what publishers send to its XSUB goes to all that subscribed at its XPUB.
 *
 * @module
 */
import type { Conn } from "../../src/platform/platform.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { FrameDecoder } from "../../src/zmtp/frame.ts";
import { encodeGreeting, GREETING_BYTES } from "../../src/zmtp/greeting.ts";
import { openPub } from "../../src/zmtp/pub.ts";
import { ready, subscribe } from "./zmtp_peer.ts";

/** The broker. Disposing it drops everybody. */
export interface ZmqProxy extends AsyncDisposable {
  readonly xsub: string;
  readonly xpub: string;
  /** Messages that passed. */
  readonly passed: Uint8Array[][];
  /** Publishers that are connected. */
  readonly publishers: number;
}

/** Starts one on loopback. @param isLost Messages that it swallows. */
export async function openZmqProxy(isLost: (parts: readonly Uint8Array[]) => boolean = () => false): Promise<ZmqProxy> {
  const { net, clock, random } = realPlatform;
  const pub = openPub({ net, clock, random });
  const publishers = new Set<Conn>();
  const passed: Uint8Array[][] = [];
  const listener = await net.listen({ host: "127.0.0.1", port: 0 }, (conn) => {
    publishers.add(conn);
    const decoder = new FrameDecoder(1 << 26);
    let greeting = GREETING_BYTES;
    let parts: Uint8Array[] = [];
    for (const said of [encodeGreeting(), ready("XSUB"), subscribe("")]) conn.write(said);
    return {
      data(chunk) {
        const skipped = Math.min(greeting, chunk.length);
        greeting -= skipped;
        decoder.push(chunk.subarray(skipped), (body, isCommand, hasMore) => {
          if (isCommand) return;
          parts.push(body.slice());
          if (hasMore) return;
          const message = parts;
          parts = [];
          if (isLost(message)) return;
          passed.push(message);
          pub.publish(message);
        });
      },
      end: () => conn.end(),
      closed: () => void publishers.delete(conn),
    };
  });
  return {
    xsub: `tcp://127.0.0.1:${listener.address.port}`,
    xpub: await pub.bind("tcp://127.0.0.1:*"),
    passed,
    get publishers() {
      return publishers.size;
    },
    async [Symbol.asyncDispose]() {
      await listener[Symbol.asyncDispose]();
      for (const conn of publishers) conn.destroy();
      await pub[Symbol.asyncDispose]();
    },
  };
}
