import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeSubscriptionMessage, Subscriptions } from "../../src/zmtp/subscriptions.ts";
import { bytes, text, unhex } from "../support/zmtp_peer.ts";

test("topics match by prefix, are counted and end with their last cancel", () => {
  const topics = new Subscriptions();
  const matches = (topic: string) => topics.matches(bytes(topic));
  assert.equal(matches(""), false);
  assert.equal(topics.add(bytes("kv")), true);
  assert.equal(topics.add(bytes("kv")), false);
  assert.deepEqual([matches("kv-events"), matches("kv"), matches("k"), matches("xkv")], [true, true, false, false]);
  assert.equal(topics.remove(bytes("kv-events")), false);
  assert.equal(topics.remove(bytes("kv")), false);
  assert.equal(matches("kv"), true);
  assert.equal(topics.remove(bytes("kv")), true);
  assert.equal(matches("kv"), false);
});

test("the empty topic matches everything, and a topic is kept when its bytes are not", () => {
  const topics = new Subscriptions();
  const topic = bytes("abc");
  topics.add(topic);
  topic.fill(0);
  assert.ok(topics.matches(bytes("abc")));
  topics.add(bytes(""));
  assert.ok(topics.matches(bytes("")) && topics.matches(bytes("anything")));
  assert.deepEqual(topics.topics.map(text), ["abc", ""]);
});

test("there may be so many topics and no more", () => {
  const topics = new Subscriptions(2);
  topics.add(bytes("a"));
  topics.add(bytes("b"));
  topics.add(bytes("a"));
  assert.throws(() => topics.add(bytes("c")), { name: "ZmtpError", kind: "limit" });
});

test("decodeSubscriptionMessage() takes 01 and 00 and nothing else", () => {
  const decode = (...parts: string[]) => decodeSubscriptionMessage(parts.map(unhex));
  assert.deepEqual(decode("016b"), { topic: unhex("6b"), isWanted: true });
  assert.deepEqual(decode("00"), { topic: unhex(""), isWanted: false });
  for (const parts of [[""], ["02"], ["016b", ""], []]) assert.equal(decode(...parts), null);
});
