/** Bytes that libzmq and Dynamo's publishers really sent. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeMessage, FrameDecoder } from "../../src/zmtp/frame.ts";
import { encodeGreeting } from "../../src/zmtp/greeting.ts";
import { MessageAssembler } from "../../src/zmtp/message_assembler.ts";
import { openPub } from "../../src/zmtp/pub.ts";
import { openSub } from "../../src/zmtp/sub.ts";
import { goldenText } from "../support/golden.ts";
import { hex, makeRig, unhex } from "../support/zmtp_peer.ts";

interface Step {
  readonly dir: "sub>pub" | "pub>sub";
  readonly label: string;
  readonly hex: string;
}

const TRANSCRIPTS: Readonly<Record<string, readonly Step[]>> = JSON.parse(goldenText("events/zmtp_handshake.json"));
const MESSAGES: readonly { readonly topic: string; readonly frames_hex: readonly string[] }[] = JSON.parse(
  goldenText("events/zmq_direct_frames.json"),
);

function bytesOf(steps: readonly Step[], dir: Step["dir"], label = /./): string {
  return steps.filter((step) => step.dir === dir && label.test(step.label)).map((step) => step.hex).join("");
}

/** The message of a transcript, part by part. */
function partsOf(steps: readonly Step[]): Uint8Array[] {
  const parts: Uint8Array[] = [];
  const message = unhex(bytesOf(steps, "pub>sub", /message/));
  new FrameDecoder(1 << 20).push(message, (body) => parts.push(body.slice()));
  assert.equal(parts.length, 4);
  return parts;
}

for (const [name, steps] of Object.entries(TRANSCRIPTS)) {
  test(`our PUB answers libzmq's SUB with the bytes of the transcript ${name}`, async () => {
    const { clock, net, options } = makeRig();
    const pub = openPub(options);
    await pub.bind("tcp://*:*");
    const conn = net.accept();
    let written = "";
    for (const step of steps) {
      if (step.dir === "sub>pub") conn.say(unhex(step.hex));
      else if (step.label === "4-frame message") assert.equal(pub.publish(partsOf(steps)), 1);
      await clock.settle();
      written += hex(conn.take());
    }
    assert.equal(pub.hasSubscriber("kv-events"), false, "it took its subscription back");
    // We always announce 3.1; what the peer of the transcript announced decided only about libzmq's words.
    const greeting = hex(encodeGreeting());
    assert.equal(written, greeting + bytesOf(steps, "pub>sub").slice(greeting.length));
  });

  test(`our SUB says what libzmq's says in the transcript ${name}`, async () => {
    const { clock, net, options } = makeRig();
    const got: string[][] = [];
    const sub = openSub({ ...options, topics: ["kv-events"], onMessage: (parts) => void got.push(parts.map(hex)) });
    sub.connect("tcp://10.0.0.9:5");
    await clock.settle();
    const [conn] = net.dialled;
    for (const step of steps.filter(({ dir }) => dir === "pub>sub")) {
      conn!.say(unhex(step.hex));
      await clock.settle();
    }
    sub.unsubscribe("kv-events");
    await clock.settle();
    assert.equal(hex(conn!.take()), bytesOf(steps, "sub>pub"));
    assert.deepEqual(got, [partsOf(steps).map(hex)]);
  });

  test(`encodeGreeting() makes the greeting of the transcript ${name}`, () => {
    const minor = name.endsWith("3.0") ? 0 : 1;
    assert.equal(hex(encodeGreeting({ major: 3, minor, mechanism: "NULL" })), bytesOf(steps, "pub>sub", /greeting/));
  });
}

test("messages of Dynamo's publishers are the same after encoding and decoding", () => {
  assert.ok(MESSAGES.length > 3);
  const stream = new Uint8Array(MESSAGES.flatMap(({ frames_hex }) => [...encodeMessage(frames_hex.map(unhex))]));
  const assembler = new MessageAssembler({ maxMessageBytes: 1 << 20, maxParts: 4 });
  const found: string[][] = [];
  new FrameDecoder(1 << 20).push(stream, (body, _isCommand, hasMore) => {
    const parts = assembler.add(body, hasMore);
    if (parts !== null) found.push(parts.map(hex));
  });
  assert.deepEqual(found, MESSAGES.map(({ frames_hex }) => frames_hex));
});
