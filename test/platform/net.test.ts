/** The promises of `Net` and `Conn`, on every implementation that this runtime has. */
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import type { Conn, ConnHandlers, Listener, Net } from "../../src/platform/platform.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { createNodeNet } from "../../src/platform/tcp_node.ts";
import { simulatedNet } from "../support/simulated_net.ts";
import { eventually } from "../support/worker_rig.ts";

/** One side of a connection and what it was told. */
class Side implements ConnHandlers {
  conn!: Conn;
  length = 0;
  readonly chunks: Uint8Array[] = [];
  keepsBytes = true;
  ends = 0;
  drains = 0;
  closes = 0;
  error: Error | undefined;
  readonly order: string[] = [];

  data(bytes: Uint8Array): void {
    this.order.push("data");
    this.length += bytes.length;
    if (this.keepsBytes) this.chunks.push(bytes.slice());
  }

  end(): void {
    this.order.push("end");
    this.ends++;
  }

  drain(): void {
    this.drains++;
  }

  closed(error?: Error): void {
    this.order.push("closed");
    this.closes++;
    this.error = error;
  }

  get text(): string {
    return this.chunks.map((chunk) => new TextDecoder().decode(chunk)).join("");
  }
}

/** A connection, both sides of it. */
async function connect(net: Net, host = "127.0.0.1", signal?: AbortSignal) {
  let accepted: ((side: Side) => void) | undefined;
  const inbound = new Promise<Side>((resolve) => accepted = resolve);
  const listener = await net.listen({ host, port: 0 }, (conn) => {
    const side = new Side();
    side.conn = conn;
    accepted?.(side);
    return side;
  });
  const client = new Side();
  client.conn = await net.dial(listener.address, client, signal);
  const server = await inbound;
  return {
    listener,
    client,
    server,
    async [Symbol.asyncDispose](): Promise<void> {
      client.conn.destroy();
      server.conn.destroy();
      await listener[Symbol.asyncDispose]();
      await eventually("both to close", () => client.closes > 0 && server.closes > 0);
    },
  };
}

const bytes = (text: string) => new TextEncoder().encode(text);

const NETS: readonly [name: string, net: Net][] = [["node:net", createNodeNet(setImmediate)]];
const nets = [
  ...NETS,
  ..."bun" in process.versions ? [["this runtime", realPlatform.net] as const] : [],
  ["simulated", simulatedNet()] as const,
];

for (const [name, net] of nets) {
  test(`${name}: bytes go both ways, in order`, async () => {
    await using pair = await connect(net);
    pair.client.conn.write(bytes("hello "));
    pair.client.conn.write(bytes("there"));
    pair.server.conn.write(bytes("hi"));
    await eventually("the bytes", () => pair.server.text === "hello there" && pair.client.text === "hi");
    assert.match(pair.server.conn.remote, /^127\.0\.0\.1:\d+$/);
  });

  test(`${name}: a peer that speaks first, or hangs up at once, does not overtake whoever dialled it`, async () => {
    const listener = await net.listen({ host: "127.0.0.1", port: 0 }, (conn) => {
      conn.write(bytes("first"));
      conn.end();
      return new Side();
    });
    await using _listener = listener;
    const dialOnce = async (): Promise<void> => {
      const side = new Side();
      const dial = async () => await net.dial(listener.address, side);
      const conn = await dial();
      assert.deepEqual(side.order, [], "nobody was told anything yet");
      await eventually("what it said", () => side.ends === 1);
      assert.equal(side.text, "first");
      conn.destroy();
      await eventually("its end", () => side.closes === 1);
    };
    for (let round = 0; round < 20; round++) await Promise.all(Array.from({ length: 10 }, dialOnce));
  });

  test(`${name}: what is done as soon as a dial has resolved is told of: a full buffer that empties, an end`, async () => {
    const accepted: Conn[] = [];
    await using listener = await net.listen({ host: "127.0.0.1", port: 0 }, (conn) => {
      accepted.push(conn);
      return new Side();
    });
    // A listener is closed once its connections are.
    using _accepted = { [Symbol.dispose]: () => accepted.forEach((conn) => conn.destroy()) };
    for (let round = 0; round < 20; round++) {
      const [full, dropped] = [new Side(), new Side()];
      const conn = await net.dial(listener.address, full);
      while (conn.write(new Uint8Array(1 << 17)));
      (await net.dial(listener.address, dropped)).destroy();
      await eventually("both to be told", () => full.drains > 0 && dropped.closes > 0);
      assert.deepEqual([dropped.closes, dropped.order], [1, ["closed"]]);
      conn.destroy();
      await eventually("the end", () => full.closes === 1);
    }
  });

  test(`${name}: one half ends, the other goes on, and closed comes once and last`, async () => {
    await using pair = await connect(net);
    pair.client.conn.write(bytes("last words"));
    pair.client.conn.end();
    await eventually("the end", () => pair.server.ends === 1);
    assert.equal(pair.server.text, "last words");
    for (let i = 0; i < 5; i++) {
      pair.server.conn.write(bytes("still here "));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await eventually("the bytes", () => pair.client.length === 55);
    assert.equal(pair.server.closes + pair.client.closes, 0);
    pair.server.conn.end();
    await eventually("both to close", () => pair.server.closes === 1 && pair.client.closes === 1);
    assert.equal(pair.client.order.at(-1), "closed");
    assert.equal(pair.server.order.at(-1), "closed");
    assert.equal(pair.client.error ?? pair.server.error, undefined);
  });

  test(`${name}: end() sends everything that was queued first, also megabytes`, async () => {
    await using pair = await connect(net);
    pair.client.keepsBytes = false;
    const size = 16 << 20;
    for (let at = 0; at < size; at += 1 << 20) pair.server.conn.write(new Uint8Array(1 << 20));
    pair.server.conn.end();
    await eventually("the end", () => pair.client.ends === 1);
    assert.equal(pair.client.length, size);
  });

  test(`${name}: write() asks to wait when the peer does not read, drain says when to go on, nothing is lost`, async () => {
    await using pair = await connect(net);
    pair.client.keepsBytes = false;
    pair.client.conn.setReading(false);
    let sent = 0;
    let isOpen = true;
    // The system's own buffers grow for a while.
    for (let full = 0; full < 5 && sent < 1 << 28;) {
      isOpen = pair.server.conn.write(new Uint8Array(64 * 1024).fill(7));
      sent += 64 * 1024;
      if (pair.server.conn.pendingBytes < 1 << 20) continue;
      const before = pair.server.conn.pendingBytes;
      await new Promise((resolve) => setTimeout(resolve, 10));
      full = pair.server.conn.pendingBytes === before ? full + 1 : 0;
    }
    assert.equal(isOpen, false);
    assert.ok(pair.server.conn.pendingBytes > 0);
    pair.server.drains = 0;
    pair.client.conn.setReading(true);
    await eventually("drain", () => pair.server.drains > 0);
    await eventually("the bytes", () => pair.client.length === sent);
    assert.equal(pair.server.conn.pendingBytes, 0);
  });

  test(`${name}: a peer that is not read keeps its bytes`, async () => {
    await using pair = await connect(net);
    pair.server.conn.setReading(false);
    await new Promise((resolve) => setTimeout(resolve, 10));
    pair.client.conn.write(bytes("later"));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const early = pair.server.length;
    pair.server.conn.setReading(true);
    await eventually("the bytes", () => pair.server.text === "later");
    assert.equal(early, 0);
  });

  test(`${name}: destroy() drops the connection on both sides; later calls do nothing`, async () => {
    await using pair = await connect(net);
    pair.client.conn.destroy();
    await eventually("this side to close", () => pair.client.closes === 1);
    for (const call of ["end", "destroy"] as const) pair.client.conn[call]();
    assert.equal(pair.client.conn.write(bytes("x")), true);
    pair.client.conn.setReading(true);
    pair.client.conn.setReading(false);
    await eventually("the other side to notice", () => pair.server.ends + pair.server.closes > 0);
    pair.server.conn.destroy();
    await eventually("the other side to close", () => pair.server.closes === 1);
    assert.equal(pair.client.closes, 1);
  });

  test(`${name}: writing to a peer that is gone closes the connection`, async () => {
    await using pair = await connect(net);
    pair.server.conn.destroy();
    await eventually("the close", () => {
      pair.client.conn.write(bytes("anyone?"));
      return pair.client.closes === 1;
    });
  });

  test(`${name}: a connection that is dropped while it is accepted is closed like any other`, async () => {
    const sides: Side[] = [];
    await using listener: Listener = await net.listen({ host: "127.0.0.1", port: 0 }, (conn) => {
      const side = new Side();
      sides.push(side);
      conn.destroy();
      return side;
    });
    const client = new Side();
    client.conn = await net.dial(listener.address, client);
    await eventually("the accepted side to close", () => sides[0]?.closes === 1);
    await eventually("the other side to notice", () => client.ends + client.closes > 0);
    client.conn.destroy();
    await eventually("the other side to close", () => client.closes === 1);
    assert.equal(sides[0]!.closes, 1);
  });

  test(`${name}: a dial that is refused rejects, with the system's code`, async () => {
    const { address, ...listener } = await net.listen({ host: "127.0.0.1", port: 0 }, () => new Side());
    await listener[Symbol.asyncDispose]();
    const side = new Side();
    await assert.rejects(net.dial(address, side), (error: { code?: string }) => error.code === "ECONNREFUSED");
    assert.deepEqual(side.order, []);
  });

  test(`${name}: a dial rejects with the reason of its signal, before and while it dials`, async () => {
    const reason = new Error("enough");
    const aborted = AbortSignal.abort(reason);
    await assert.rejects(net.dial({ host: "127.0.0.1", port: 9 }, new Side(), aborted), reason);
    await using listener = await net.listen({ host: "127.0.0.1", port: 0 }, () => new Side());
    const control = new AbortController();
    const side = new Side();
    const dialing = net.dial(listener.address, side, control.signal);
    control.abort(reason);
    await assert.rejects(dialing, reason);
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.deepEqual(side.order, []);
  });

  test(`${name}: aborting after the dial does nothing`, async () => {
    const control = new AbortController();
    await using pair = await connect(net, "127.0.0.1", control.signal);
    control.abort();
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(pair.client.closes, 0);
  });

  test(`${name}: a port in use rejects, with the system's code`, async () => {
    await using listener = await net.listen({ host: "127.0.0.1", port: 0 }, () => new Side());
    await assert.rejects(
      net.listen(listener.address, () => new Side()),
      (error: { code?: string }) => error.code === "EADDRINUSE",
    );
  });

  test(`${name}: a closed listener takes no connection and leaves those it took`, async () => {
    await using pair = await connect(net);
    await Promise.race([
      pair.listener[Symbol.asyncDispose](),
      new Promise((resolve) => setTimeout(resolve, 50)),
    ]);
    await assert.rejects(net.dial(pair.listener.address, new Side()));
    pair.client.conn.write(bytes("still"));
    await eventually("the bytes", () => pair.server.text === "still");
  });

  test(`${name}: IPv6 loopback works where there is one`, async () => {
    if (!net.interfaces().some(({ address }) => address === "::1")) return;
    await using pair = await connect(net, "::1");
    pair.client.conn.write(bytes("six"));
    await eventually("the bytes", () => pair.server.text === "six");
  });
}

test("interfaces() has loopback, without zones", () => {
  const all = realPlatform.net.interfaces();
  assert.ok(all.some(({ address, internal, family }) => address === "127.0.0.1" && internal && family === "IPv4"));
  assert.ok(all.every(({ address }) => !address.includes("%")));
});
