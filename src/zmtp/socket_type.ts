/**
 * Which kinds of sockets may talk to each other.
 *
 * @module
 */

/** Kinds of sockets built here. */
export type SocketType = "PUB" | "SUB" | "DEALER" | "ROUTER";

const PARTNERS: Readonly<Record<SocketType, readonly string[]>> = {
  PUB: ["SUB", "XSUB"],
  SUB: ["PUB", "XPUB"],
  DEALER: ["ROUTER", "REP", "DEALER"],
  ROUTER: ["DEALER", "REQ", "ROUTER"],
};

/** Why a socket cannot talk to a peer of that type, or `null` if it can. */
export function partnerFault(own: SocketType, peer: string): string | null {
  const partners = PARTNERS[own];
  if (partners.includes(peer)) return null;
  return `This is a ${own} socket, which talks to ${partners.join(", ")}; the peer is ${
    peer === "" ? "nameless" : peer
  }`;
}
