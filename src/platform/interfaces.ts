/**
 * The network interfaces of this machine.
 *
 * @module
 */
import { networkInterfaces } from "node:os";
import type { InterfaceAddress } from "./platform.ts";

/** The addresses of all interfaces that are up. */
export function interfaces(): readonly InterfaceAddress[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses]) =>
    (addresses ?? []).map(({ address, family, internal }) => ({
      name,
      address: address.replace(/%.*$/, ""),
      family,
      internal,
    }))
  );
}
