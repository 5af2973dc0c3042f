import assert from "node:assert/strict";
import { test } from "node:test";
import { machineParts, openPub, openSub } from "@stator/worker/zmtp";

test("machineParts() is all that sockets need to talk over TCP", async () => {
  const parts = await machineParts();
  await using pub = openPub(parts);
  const endpoint = await pub.bind("tcp://127.0.0.1:*");
  const heard = Promise.withResolvers<string>();
  const onMessage = ([, body]: readonly Uint8Array[]) => heard.resolve(new TextDecoder().decode(body));
  await using sub = openSub({ ...parts, topics: ["news"], onMessage });
  sub.connect(endpoint);
  const text = new TextEncoder();
  assert.equal(await pub.subscribed("news"), true);
  pub.publish([text.encode("news"), text.encode("hello")]);
  assert.equal(await heard.promise, "hello");
});
