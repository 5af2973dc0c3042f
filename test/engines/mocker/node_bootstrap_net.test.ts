import assert from "node:assert/strict";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { nodeBootstrapNet } from "../../../engines/mocker/live/node_bootstrap_net.ts";

/** Notes what a connection brings; `until` resolves once that is so. */
function listener() {
  const seen = { text: "", why: undefined as string | undefined };
  let changed = () => {};
  return {
    seen,
    data(bytes: Uint8Array) {
      seen.text += new TextDecoder().decode(bytes);
      changed();
    },
    lost(why: string) {
      assert.equal(seen.why, undefined, "told once");
      seen.why = why;
      changed();
    },
    async until(holds: () => boolean): Promise<void> {
      while (!holds()) await new Promise<void>((resolve) => changed = resolve);
    },
  };
}

const bytes = (text: string) => new TextEncoder().encode(text);

test("what is sent before a connection stands and right before its end arrives, and both ends hear of the end", async () => {
  const far = listener();
  const listening = await nodeBootstrapNet.listen(0, (link) => {
    link.send(bytes("welcome"));
    return far;
  });
  const near = listener();
  const link = nodeBootstrapNet.dial("[127.0.0.1]", listening.port, near);
  link.send(bytes("hello "));
  await near.until(() => near.seen.text === "welcome");
  link.send(bytes("and goodbye"));
  link.close();
  link.close();
  link.send(bytes("never"));
  await far.until(() => far.seen.why !== undefined);
  assert.deepEqual([far.seen.text, near.seen.why], ["hello and goodbye", undefined]);
  await listening.close();
});

test("a port that is taken, or where nobody listens, is told in words", async () => {
  const listening = await nodeBootstrapNet.listen(0, listener);
  await assert.rejects(nodeBootstrapNet.listen(listening.port, listener), /EADDRINUSE|in use/i);
  await listening.close();
  const near = listener();
  nodeBootstrapNet.dial("127.0.0.1", listening.port, near);
  await near.until(() => near.seen.why !== undefined);
  assert.match(near.seen.why!, /refused|connect/i);
});

test("a connection is closed although its other end keeps it open", async () => {
  let theirs: Socket | undefined;
  const accepted = Promise.withResolvers<void>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    theirs = socket;
    socket.on("error", () => {});
    socket.resume();
    accepted.resolve();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const link = nodeBootstrapNet.dial("127.0.0.1", port, listener());
  link.send(bytes("x"));
  await accepted.promise;
  const ended = new Promise<void>((resolve) => theirs!.once("end", resolve));
  link.close();
  await ended;
  theirs!.destroy();
  await new Promise((resolve) => server.close(resolve));
});

test("who does not read what is said is let go of", async () => {
  const far = listener();
  const listening = await nodeBootstrapNet.listen(0, (link) => {
    const block = new Uint8Array(1 << 20);
    const fill = () => {
      if (far.seen.why !== undefined) return;
      link.send(block);
      setImmediate(fill);
    };
    fill();
    return far;
  });
  const deaf = connect(listening.port, "127.0.0.1");
  deaf.on("error", () => {});
  deaf.pause();
  await far.until(() => far.seen.why !== undefined);
  assert.equal(far.seen.why, "does not read");
  deaf.destroy();
  await listening.close();
});

test("an alarm rings once, unless it is called off", async () => {
  const rung: string[] = [];
  nodeBootstrapNet.after(1, () => rung.push("off"))();
  await new Promise<void>((resolve) => nodeBootstrapNet.after(2, resolve));
  assert.deepEqual(rung, []);
  assert.match(nodeBootstrapNet.ownAddress(), /^\d+(\.\d+){3}$/);
});
