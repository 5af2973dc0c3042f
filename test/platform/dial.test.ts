/** A peer on another thread may speak before this one has turned round. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { realPlatform } from "../../src/platform/real.ts";

const PEER = `
  const { parentPort } = require("node:worker_threads");
  const server = require("node:net").createServer((socket) => {
    socket.on("error", () => {});
    socket.write("first");
  });
  server.listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port));
`;

test("dial() tells nothing before it has resolved, however early the peer speaks", async () => {
  const peer = new Worker(PEER, { eval: true });
  try {
    const port = await new Promise<number>((resolve) => peer.once("message", resolve));
    let early = 0;
    for (let round = 0; round < 1000; round++) {
      let [isThere, heard] = [false, 0];
      let tell!: () => void;
      const spoken = new Promise<void>((resolve) => tell = resolve);
      const data = (): void => {
        if (!isThere) early++;
        if (++heard === 1) tell();
      };
      const dial = async () => await realPlatform.net.dial({ host: "127.0.0.1", port }, { data, closed: () => {} });
      const conn = await dial();
      isThere = true;
      await spoken;
      conn.destroy();
    }
    assert.equal(early, 0);
  } finally {
    await peer.terminate();
  }
});
