import assert from "node:assert/strict";
import { test } from "node:test";
import { dialAddress, formatEndpoint, listenAddress, parseEndpoint } from "../../src/zmtp/endpoint.ts";

const GOOD: readonly [text: string, host: string, port: number][] = [
  ["tcp://127.0.0.1:5557", "127.0.0.1", 5557],
  ["tcp://*:5557", "*", 5557],
  ["tcp://*:*", "*", 0],
  ["tcp://[::]:5557", "::", 5557],
  ["tcp://[fe80::1%eth0]:1", "fe80::1%eth0", 1],
  ["tcp://engine-0.svc.cluster.local:65535", "engine-0.svc.cluster.local", 65_535],
];

for (const [text, host, port] of GOOD) {
  test(`parseEndpoint() reads ${text}, and formatEndpoint() writes it`, () => {
    assert.deepEqual(parseEndpoint(text), { host, port });
    assert.equal(formatEndpoint({ host, port }), text);
  });
}

const BAD: readonly [text: string, fix: RegExp][] = [
  ["ipc:///tmp/engine.sock", /only tcp is supported; give the other side a tcp:\/\/ endpoint/],
  ["inproc://events", /inproc stays within one libzmq process/],
  ["tcp://::1:5557", /put an IPv6 address in brackets/],
  ["127.0.0.1:5557", /an endpoint is tcp:\/\/host:port/],
  ["tcp://127.0.0.1", /with a port from 0 to 65535/],
  ["tcp://127.0.0.1:65536", /with a port from 0 to 65535/],
  ["tcp://eth0;127.0.0.1:1", /an endpoint is/],
  ["tcp://[::1:5", /an endpoint is/],
  ["", /an endpoint is/],
];

for (const [text, fix] of BAD) {
  test(`parseEndpoint() refuses "${text}" and says what to write`, () => {
    assert.throws(() => parseEndpoint(text), (error: Error) => {
      assert.ok(error instanceof SyntaxError && error.message.includes(text));
      assert.match(error.message, fix);
      return true;
    });
  });
}

test("a star can be bound and not dialled", () => {
  assert.deepEqual(listenAddress("tcp://*:*"), { host: "0.0.0.0", port: 0 });
  assert.deepEqual(listenAddress("tcp://[::]:5"), { host: "::", port: 5 });
  assert.deepEqual(dialAddress("tcp://localhost:5"), { host: "localhost", port: 5 });
  assert.throws(() => dialAddress("tcp://*:5"), /\* can only be bound; name a host and a port/);
  assert.throws(() => dialAddress("tcp://localhost:*"), /can only be bound/);
});
