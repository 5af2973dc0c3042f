import assert from "node:assert/strict";
import { test } from "node:test";
import {
  formatAddress,
  type HostInterface,
  parseAddress,
  resolveAdvertisedHost,
  resolveListenHost,
} from "../../src/protocol/address.ts";
import { DynamoError } from "../../src/protocol/error.ts";

const LOOPBACK: readonly HostInterface[] = [
  { name: "lo", address: "127.0.0.1", family: "IPv4", internal: true },
  { name: "lo", address: "::1", family: "IPv6", internal: true },
];
const MACHINE: readonly HostInterface[] = [
  ...LOOPBACK,
  { name: "eth0", address: "fe80::1", family: "IPv6", internal: false },
  { name: "eth0", address: "2001:db8::7", family: "IPv6", internal: false },
  { name: "eth1", address: "10.0.0.7", family: "IPv4", internal: false },
  { name: "ib0", address: "fd00::9", family: "IPv6", internal: false },
];

const resolve = (host: string | undefined, interfaces = MACHINE) => {
  const { bind, advertise } = resolveListenHost(host, "DYN_TCP_RPC_HOST", interfaces);
  return bind === advertise ? bind : `${bind} as ${advertise}`;
};

const CASES: readonly [what: string, host: string | undefined, interfaces: readonly HostInterface[], want: string][] = [
  ["nothing: the first IPv4 address that is not loopback", undefined, MACHINE, "10.0.0.7"],
  ["blank counts as nothing", "  ", MACHINE, "10.0.0.7"],
  [
    "nothing without IPv4: IPv6, but no link-local one",
    undefined,
    MACHINE.filter((one) => one.family === "IPv6"),
    "2001:db8::7",
  ],
  ["nothing but loopback", undefined, LOOPBACK, "127.0.0.1"],
  ["no interface at all", undefined, [], "127.0.0.1"],
  ["an IPv4 literal, not on this machine", "192.0.2.1", MACHINE, "192.0.2.1"],
  ["loopback", "127.0.0.1", MACHINE, "127.0.0.1"],
  ["an IPv6 literal", "2001:db8::7", MACHINE, "2001:db8::7"],
  ["an IPv6 literal in brackets", "[::1]", MACHINE, "::1"],
  ["the IPv4 wildcard", "0.0.0.0", MACHINE, "0.0.0.0 as 10.0.0.7"],
  ["the IPv6 wildcard", "::", MACHINE, ":: as 2001:db8::7"],
  ["the IPv4 wildcard on loopback only", "0.0.0.0", LOOPBACK, "0.0.0.0 as 127.0.0.1"],
  ["the IPv6 wildcard on loopback only", "[::]", LOOPBACK, ":: as ::1"],
  ["an interface name", "eth1", MACHINE, "10.0.0.7"],
  ["an interface name with IPv6 only", "ib0", MACHINE, "fd00::9"],
  ["an interface name: not its link-local address", "eth0", MACHINE, "2001:db8::7"],
  ["the loopback interface by name", "lo", MACHINE, "127.0.0.1"],
];

for (const [what, host, interfaces, want] of CASES) {
  test(`resolveListenHost() takes ${what}`, () => assert.equal(resolve(host, interfaces), want));
}

for (
  const host of ["256.0.0.1", "255.255.255.255", "224.0.0.1", "239.1.2.3", "ff02::1", "fe80::1", "febf::2", "a:b:zz"]
) {
  test(`resolveListenHost() refuses ${host}`, () => {
    assert.throws(
      () => resolve(host),
      (error) => error instanceof DynamoError && error.kind === "InvalidArgument" && error.message.includes(host),
    );
  });
}

test("resolveListenHost() refuses a name that is no interface, and names the option and the interfaces", () => {
  assert.throws(() => resolve("worker.example.com"), {
    message: /^DYN_TCP_RPC_HOST: worker\.example\.com .*\(lo, eth0, eth1, ib0\)$/,
  });
});

test("formatAddress() and parseAddress() are inverses, with brackets around IPv6", () => {
  for (const [host, port, text] of [["10.0.0.7", 80, "10.0.0.7:80"], ["::1", 65535, "[::1]:65535"]] as const) {
    assert.equal(formatAddress(host, port), text);
    assert.deepEqual(parseAddress(text), { host, port });
    assert.deepEqual(parseAddress(`tcp://${text}`), { host, port });
  }
});

for (
  const text of [
    "",
    "127.0.0.1",
    "127.0.0.1:",
    ":80",
    "127.0.0.1:0",
    "127.0.0.1:65536",
    "::1:80",
    "a:80/x",
    "udp://a:80",
  ]
) {
  test(`parseAddress() refuses ${JSON.stringify(text)}`, () => assert.throws(() => parseAddress(text), SyntaxError));
}

for (const wildcard of ["0.0.0.0", "::", "[::]", "0:0:0:0:0:0:0:0", "::0", "::ffff:0.0.0.0", "*", " 0.0.0.0 "]) {
  test(`${wildcard} cannot be told to others`, () => {
    assert.throws(() => resolveAdvertisedHost(wildcard, "OPTION", MACHINE), {
      kind: "InvalidArgument",
      message: /^OPTION: .* is every address of this machine/,
    });
  });
}

test("what others are told is an address, an interface's, or the machine's own", () => {
  const told = (host: string | undefined) => resolveAdvertisedHost(host, "OPTION", MACHINE);
  assert.equal(told("10.1.2.3"), "10.1.2.3");
  assert.equal(told("[2001:db8::1]"), "2001:db8::1");
  assert.equal(told("::1"), "::1");
  for (const blank of [undefined, "", " "]) assert.equal(told(blank), resolveListenHost("", "X", MACHINE).advertise);
  assert.throws(() => told("wlan9"), { message: /^OPTION: wlan9 is neither an IP address nor an interface/ });
  assert.throws(() => told("224.0.0.1"), { message: /^OPTION: .*multicast/ });
});
