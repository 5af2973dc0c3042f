/**
 * ZeroMQ's wire protocol, ZMTP 3.0 and 3.1, in TypeScript: PUB, SUB, DEALER and ROUTER sockets over TCP that talk to libzmq 4.
 *
 * Nothing native. Security is left to the network: only the NULL mechanism is there. Every buffer has a bound, every
 * promise settles, and disposing a socket leaves no timer and no connection.
 *
 * ```ts
 * const pub = openPub({ net, clock, random });
 * const endpoint = await pub.bind("tcp://127.0.0.1:*");
 *
 * const onMessage = ([topic, body]: readonly Uint8Array[]) => console.log(topic, body);
 * const sub = openSub({ net, clock, random, topics: ["news"], onMessage });
 * sub.connect(endpoint);
 *
 * const text = new TextEncoder();
 * if (await pub.subscribed("news")) pub.publish([text.encode("news"), text.encode("hello")]);
 *
 * await pub[Symbol.asyncDispose]();
 * await sub[Symbol.asyncDispose]();
 * ```
 *
 * @experimental
 * @module
 */
export { openPub, type PubOptions, type PubSocket, type PubStats } from "./pub.ts";
export { openSub, type SubOptions, type SubSocket, type SubStats } from "./sub.ts";
export { type DealerOptions, type DealerSocket, openDealer } from "./dealer.ts";
export { openRouter, type RouterOptions, type RouterPeer, type RouterSocket } from "./router.ts";
export type { SocketEvent, SocketOptions } from "./links.ts";
export type { HeartbeatOptions } from "./heartbeat.ts";
export type { ReconnectOptions } from "./dialer.ts";
export { DEFAULT_HIGH_WATER_MARK, DEFAULT_LIMITS, type HighWaterMark, type Limits } from "./limits.ts";
export { ZmtpError, type ZmtpErrorKind } from "./error.ts";
export { dialAddress, type Endpoint, formatEndpoint, parseEndpoint } from "./endpoint.ts";
export { encodeGreeting, type Greeting, GreetingDecoder } from "./greeting.ts";
export { encodeMessage, FrameDecoder, type TakeFrame } from "./frame.ts";
export { MessageAssembler } from "./message_assembler.ts";
export { type Command, decodeCommand, encodeCommand, type Metadata, type Ping } from "./command.ts";
export type {
  Clock,
  Conn,
  ConnHandlers,
  InterfaceAddress,
  Listener,
  Net,
  Random,
  SocketAddress,
} from "../platform/platform.ts";
