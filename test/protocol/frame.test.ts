import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  AckParser,
  decodeTwoPart,
  encodeAck,
  encodeRequestFrame,
  encodeTwoPart,
  RequestFrameParser,
  TwoPartParser,
} from "../../src/protocol/frame.ts";

const bytes = (length: number, seed = 1) => Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 0xff);
const utf8 = (text: string) => new TextEncoder().encode(text);

/** Splits at pseudo-random places, the same ones each time. */
function* pieces(all: Uint8Array, seed: number, most: number): Generator<Uint8Array> {
  let state = seed;
  for (let at = 0; at < all.length;) {
    state = (state * 1103515245 + 12345) & 0x7fffffff;
    const length = 1 + (state % most);
    // A buffer of its own, overwritten afterwards: views of it must not be kept.
    const piece = all.slice(at, at + length);
    yield piece;
    piece.fill(0xee);
    at += length;
  }
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

describe("RequestFrameParser", () => {
  const frames = [0, 1, 7, 300, 5000, 70_000].map((length, i) => ({
    path: utf8(`id${i}/ns/component/generate`),
    headers: i % 2 === 0 ? new Uint8Array(0) : utf8('{"request-id":"x"}'),
    payload: bytes(length, i),
  }));
  const stream = join(frames.map(encodeRequestFrame));

  for (const most of [1, 2, 3, 17, 1000, 1_000_000]) {
    it(`finds every frame in pieces of up to ${most} bytes`, () => {
      for (let seed = 1; seed <= (most < 4 ? 1 : 20); seed++) {
        const parser = new RequestFrameParser(1 << 20);
        const found: typeof frames = [];
        for (const piece of pieces(stream, seed, most)) {
          parser.push(
            piece,
            ({ path, headers, payload }) =>
              found.push({ path: path.slice(), headers: headers.slice(), payload: payload.slice() }),
          );
        }
        assert.deepEqual(found, frames);
        assert.equal(parser.pendingBytes, 0);
      }
    });
  }

  it("refuses a frame above the limit as soon as its length is there", () => {
    const frame = encodeRequestFrame({ path: utf8("p"), headers: new Uint8Array(0), payload: new Uint8Array(0) });
    new DataView(frame.buffer).setUint32(frame.length - 4, 0xffff_ffff);
    const parser = new RequestFrameParser(1024);
    assert.throws(() => parser.push(frame, () => {}), {
      name: "RangeError",
      message: "message too large: 4294967304 bytes (max: 1024 bytes)",
    });
  });

  it("takes a frame of exactly the limit", () => {
    const frame = encodeRequestFrame({ path: utf8("p"), headers: new Uint8Array(0), payload: bytes(100) });
    let count = 0;
    new RequestFrameParser(frame.length).push(frame, () => count++);
    assert.equal(count, 1);
    assert.throws(() => new RequestFrameParser(frame.length - 1).push(frame, () => count++), RangeError);
  });

  it("holds no more than what arrived of a frame that announces much", () => {
    const head = encodeRequestFrame({ path: utf8("p"), headers: new Uint8Array(0), payload: new Uint8Array(0) });
    new DataView(head.buffer).setUint32(head.length - 4, 30 << 20);
    const parser = new RequestFrameParser(32 << 20);
    parser.push(head, () => assert.fail("no frame yet"));
    assert.equal(parser.pendingBytes, head.length);
  });
});

describe("TwoPartParser", () => {
  const frames = [[0, 0], [10, 0], [0, 134], [75, 3000], [1, 100_000]].map(([header, body]) => ({
    header: bytes(header!, 3),
    body: bytes(body!, 4),
  }));
  const stream = join(frames.map(({ header, body }) => encodeTwoPart(header, body)));

  for (const most of [1, 5, 64, 4096, 1_000_000]) {
    it(`finds every frame in pieces of up to ${most} bytes`, () => {
      const parser = new TwoPartParser(1 << 20);
      const found: typeof frames = [];
      for (const piece of pieces(stream, 7, most)) {
        parser.push(piece, ({ header, body }) => found.push({ header: header.slice(), body: body.slice() }));
      }
      assert.deepEqual(found, frames);
    });
  }

  it("refuses lengths above the limit, however large", () => {
    for (const length of [0x7fff_ffff_ffff_ffffn, 0xffff_ffff_ffff_ffffn, 1025n]) {
      const prefix = new Uint8Array(24);
      new DataView(prefix.buffer).setBigUint64(0, length);
      assert.throws(() => new TwoPartParser(1024).push(prefix, () => {}), RangeError);
    }
  });
});

describe("decodeTwoPart()", () => {
  it("takes exactly one frame", () => {
    const frame = encodeTwoPart(utf8("h"), utf8("body"));
    assert.deepEqual(decodeTwoPart(frame), { header: utf8("h"), body: utf8("body") });
  });
  it("refuses less, more and other bytes", () => {
    const frame = encodeTwoPart(utf8("h"), utf8("body"));
    assert.equal(decodeTwoPart(frame.subarray(0, -1)), null);
    assert.equal(decodeTwoPart(join([frame, frame])), null);
    assert.equal(decodeTwoPart(join([frame, utf8("x")])), null);
    assert.equal(decodeTwoPart(new Uint8Array(0)), null);
    assert.equal(decodeTwoPart(bytes(1000)), null);
  });
});

describe("AckParser", () => {
  it("gives acknowledgements in order, in any pieces", () => {
    const stream = join([encodeAck(), encodeAck(utf8("Server overloaded: full")), encodeAck()]);
    for (const most of [1, 3, 100]) {
      const texts: string[] = [];
      const parser = new AckParser(1024);
      for (const piece of pieces(stream, 5, most)) {
        parser.push(piece, (data) => texts.push(new TextDecoder().decode(data)));
      }
      assert.deepEqual(texts, ["", "Server overloaded: full", ""]);
    }
  });
  it("refuses one above the limit", () => {
    assert.throws(() => new AckParser(16).push(encodeAck(bytes(13)), () => {}), RangeError);
  });
});

describe("random bytes", () => {
  it("never make a parser keep more than its limit or throw anything but RangeError", () => {
    let state = 42;
    const next = () => (state = (state * 1103515245 + 12345) & 0x7fffffff) >>> 8;
    for (let run = 0; run < 200; run++) {
      const parser = new RequestFrameParser(4096);
      try {
        for (let i = 0; i < 50; i++) {
          parser.push(Uint8Array.from({ length: 100 }, () => next() & 0xff), () => {});
          // A path of at most 64 KiB may come before the length that tells the whole.
          assert.ok(parser.pendingBytes <= 2 * 65_535 + 8 + 4096);
        }
      } catch (error) {
        assert.ok(error instanceof RangeError);
      }
    }
  });
});
