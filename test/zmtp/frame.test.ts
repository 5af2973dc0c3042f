import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeCommandFrame, encodeMessage, FrameDecoder } from "../../src/zmtp/frame.ts";
import { MessageAssembler } from "../../src/zmtp/message_assembler.ts";
import { hex, unhex } from "../support/zmtp_peer.ts";

type Seen = [body: string, isCommand: boolean, hasMore: boolean];

/** Frames of a stream that arrives in pieces of `step` bytes, each spoilt after it was pushed. */
function decode(stream: Uint8Array, step: number, max = 1 << 20): Seen[] {
  const decoder = new FrameDecoder(max);
  const seen: Seen[] = [];
  for (let at = 0; at < stream.length; at += step) {
    const piece = stream.slice(at, at + step);
    decoder.push(piece, (body, isCommand, hasMore) => seen.push([hex(body), isCommand, hasMore]));
    piece.fill(0xee);
  }
  return seen;
}

/** Numbers from a seed, so that a failure comes again. */
function makeNumbers(seed: number): () => number {
  return () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed / 2_147_483_648;
  };
}

test("frames of every length class, in pieces of every length, come out whole", () => {
  const lengths = [0, 1, 31, 32, 255, 256, 65_536];
  const parts = lengths.map((length) => new Uint8Array(length).map((_, i) => i * 7));
  const command = encodeCommandFrame(new Uint8Array(300).fill(1));
  const stream = new Uint8Array([...encodeMessage(parts), ...command, ...encodeMessage([new Uint8Array(0)])]);
  const wanted: Seen[] = [
    ...parts.map((part, i): Seen => [hex(part), false, i < parts.length - 1]),
    [hex(new Uint8Array(300).fill(1)), true, false],
    ["", false, false],
  ];
  for (const step of [1, 2, 3, 9, 10, 255, 256, 1000, 65_535, stream.length]) {
    assert.deepEqual(decode(stream, step), wanted, `in pieces of ${step}`);
  }
});

test("encoded frames have the bytes of the specification", () => {
  assert.equal(hex(encodeMessage([new Uint8Array(0)])), "0000");
  assert.equal(hex(encodeMessage([unhex("0a"), unhex("0b0c")])), "01010a00020b0c");
  assert.equal(hex(encodeMessage([new Uint8Array(256)])).slice(0, 18), "020000000000000100");
  assert.equal(hex(encodeMessage([new Uint8Array(0x12345), unhex("01")])).slice(0, 18), "030000000000012345");
  assert.equal(hex(encodeCommandFrame(unhex("01"))), "040101");
  assert.equal(hex(encodeCommandFrame(new Uint8Array(256))).slice(0, 18), "060000000000000100");
});

test("a short frame with a long length is taken", () => {
  assert.deepEqual(decode(unhex("02000000000000000141"), 3), [["41", false, false]]);
});

for (
  const [what, head] of [
    ["4 GiB", "020000000100000000"],
    ["2^64 - 1 bytes", "02ffffffffffffffff"],
    ["one byte above the limit", "020000000000100001"],
  ] as const
) {
  test(`a frame that announces ${what} is refused before anything of it arrives`, () => {
    const decoder = new FrameDecoder(1 << 20);
    assert.throws(() => decoder.push(unhex(head), () => {}), (error: Error & { kind?: string }) => {
      assert.equal(error.kind, "limit");
      assert.match(error.message, /announces a frame of \d+ bytes \(max: 1048576 bytes\)/);
      return true;
    });
  });
}

for (const flags of ["08", "80", "05", "07", "ff"]) {
  test(`flags 0x${flags} are refused`, () => {
    assert.throws(() => new FrameDecoder(10).push(unhex(flags), () => {}), /flags 0x/);
  });
}

test("a frame that never becomes complete holds no more memory than twice what arrived", () => {
  const grown: number[] = [];
  const Real = globalThis.Uint8Array;
  const decoder = new FrameDecoder(1 << 30);
  decoder.push(unhex("020000000040000000"), () => {});
  // deno-lint-ignore no-explicit-any
  (globalThis as any).Uint8Array = class extends Real {
    // deno-lint-ignore no-explicit-any
    constructor(...args: any[]) {
      super(...args as []);
      if (typeof args[0] === "number") grown.push(args[0]);
    }
  };
  try {
    for (let i = 0; i < 1000; i++) decoder.push(new Real(1), () => {});
  } finally {
    globalThis.Uint8Array = Real;
  }
  assert.ok(grown.length > 0 && Math.max(...grown) <= 2000, `${grown}`);
});

test("random bytes end in a ZmtpError or in frames, never in anything else", () => {
  const next = makeNumbers(5);
  let refused = 0;
  for (let round = 0; round < 3000; round++) {
    const stream = Uint8Array.from({ length: 1 + next() * 200 }, () => next() * (next() < 0.5 ? 8 : 256));
    const frames = new FrameDecoder(4096);
    const messages = new MessageAssembler({ maxMessageBytes: 4096, maxParts: 8 });
    try {
      for (let at = 0; at < stream.length;) {
        const end = at + 1 + Math.floor(next() * 50);
        frames.push(stream.subarray(at, end), (body, isCommand, hasMore) => {
          if (!isCommand) messages.add(body, hasMore);
        });
        messages.keep();
        at = end;
      }
    } catch (error) {
      refused++;
      assert.equal((error as Error).name, "ZmtpError");
    }
  }
  assert.ok(refused > 100 && refused < 3000, `${refused} refused`);
});
