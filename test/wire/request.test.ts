import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, it } from "node:test";
import { decodeHeaders, decodeRequestHead, encodeRequestHead } from "../../src/protocol/control.ts";
import { DynamoError } from "../../src/protocol/error.ts";
import { decodeTwoPart, encodeRequestFrame, encodeTwoPart, RequestFrameParser } from "../../src/protocol/frame.ts";
import { decodeMsgpack, decodeText, encodeMsgpack, encodeText } from "../../src/protocol/payload.ts";
import { parseRequest } from "../../src/protocol/request.ts";
import { goldenBytes, goldenText, toHex } from "./transcript.ts";

const captured = goldenBytes("frames/chat-rpc-frontend-to-worker.bin");

function onlyFrame() {
  const frames: { path: Uint8Array; headers: Uint8Array; payload: Uint8Array }[] = [];
  new RequestFrameParser(1 << 20).push(captured, (frame) => frames.push(frame));
  assert.equal(frames.length, 1);
  return frames[0]!;
}

describe("the captured request frame", () => {
  it("decodes", () => {
    const { path, headers, payload } = onlyFrame();
    assert.equal(decodeText(path), "9da2e903f2d76c86/dynamo/sample/generate");
    assert.equal(decodeHeaders(headers)["request-id"], "3c9d0c21-a7a5-41a3-abe8-c5675bc01766");
    const { header, body } = decodeTwoPart(payload)!;
    assert.deepEqual(decodeRequestHead(header), {
      id: "3c9d0c21-a7a5-41a3-abe8-c5675bc01766",
      codec: "msgpack",
      callHome: { address: "127.0.0.1:8223", subject: "950b821a-735c-4fa9-af68-fbe2c16f0a35" },
      metadata: {},
    });
    const request = parseRequest(decodeMsgpack(body));
    assert.deepEqual([...request.token_ids], [256, 258, 71, 72, 261, 259]);
    assert.equal(request.stop_conditions.max_tokens, 3);
    assert.deepEqual(request.stop_conditions.stop_token_ids_hidden, [257]);
  });

  it("encodes back to the same bytes", () => {
    const { path, headers, payload } = onlyFrame();
    const { header, body } = decodeTwoPart(payload)!;
    assert.equal(toHex(encodeRequestHead(decodeRequestHead(header))), toHex(header));
    assert.equal(toHex(encodeMsgpack(decodeMsgpack(body))), toHex(body));
    const envelope = encodeTwoPart(header, body);
    assert.equal(toHex(envelope), toHex(payload));
    assert.equal(toHex(encodeRequestFrame({ path, headers, payload: envelope })), toHex(captured));
  });
});

describe("every captured request body", () => {
  const names = readdirSync(new URL("../golden/request-plane/requests/", import.meta.url))
    .filter((name) => name.endsWith(".msgpack"));
  assert.ok(names.length > 15);
  for (const name of names) {
    it(`${name} parses to what the peer decoded`, () => {
      const request = parseRequest(decodeMsgpack(goldenBytes(`requests/${name}`)));
      const golden = JSON.parse(goldenText(`requests/${name.replace(".msgpack", ".json")}`));
      const body = golden.worker_request;
      assert.ok(body, `no decoded body in ${name}: ${Object.keys(golden)}`);
      assert.deepEqual([...request.token_ids], body.token_ids);
      assert.deepEqual(request.stop_conditions, body.stop_conditions);
      assert.deepEqual(request.eos_token_ids, body.eos_token_ids);
      const { seed, ...sampling } = request.sampling_options;
      const { seed: goldenSeed, ...goldenSampling } = body.sampling_options;
      assert.deepEqual(sampling, goldenSampling);
      assert.equal(seed, goldenSeed === null ? null : BigInt(goldenSeed));
    });
  }
});

describe("parseRequest()", () => {
  const least = { token_ids: [1, 2], stop_conditions: { max_tokens: 4 } };
  it("fills what may be missing", () => {
    const request = parseRequest(least);
    assert.equal(request.model, "");
    assert.equal(request.sampling_options.temperature, null);
    assert.equal(request.output_options.logprobs, null);
    assert.deepEqual(request.routing, {});
  });
  it("takes token ids packed as little-endian 32-bit integers", () => {
    const packed = new Uint8Array(8);
    new DataView(packed.buffer).setUint32(0, 258, true);
    new DataView(packed.buffer).setUint32(4, 70_000, true);
    const shifted = new Uint8Array(9).subarray(1);
    shifted.set(packed);
    for (const bytes of [packed, shifted]) {
      assert.deepEqual([...parseRequest({ ...least, token_ids: bytes }).token_ids], [258, 70_000]);
    }
  });
  it("keeps ids above 2^53", () => {
    const id = 18_399_943_330_090_310_933n;
    const body = decodeMsgpack(encodeMsgpack({ ...least, routing: { backend_instance_id: id, dp_rank: 1 } }));
    assert.equal(parseRequest(body).routing.backend_instance_id, id);
    assert.equal(parseRequest(body).routing.dp_rank, 1);
  });
  it("takes counts that were sent 64 bits wide", () => {
    assert.equal(parseRequest({ ...least, stop_conditions: { max_tokens: 7n } }).stop_conditions.max_tokens, 7);
  });
  it("keeps unknown fields", () => assert.equal(parseRequest({ ...least, later: { a: 1 } }).later !== undefined, true));
  const bad: readonly (readonly [string, unknown])[] = [
    ["no object", [1]],
    ["no tokens", { stop_conditions: {} }],
    ["float tokens", { ...least, token_ids: [1.5] }],
    ["negative tokens", { ...least, token_ids: [-1] }],
    ["text tokens", { ...least, token_ids: ["1"] }],
    ["packed tokens cut short", { ...least, token_ids: new Uint8Array(5) }],
    ["max_tokens of text", { ...least, stop_conditions: { max_tokens: "x" } }],
    ["max_tokens below zero", { ...least, stop_conditions: { max_tokens: -1 } }],
    ["stop_conditions of text", { ...least, stop_conditions: "x" }],
    ["max_tokens NaN", { ...least, stop_conditions: { max_tokens: NaN } }],
  ];
  for (const [what, body] of bad) {
    it(`refuses ${what}`, () => {
      assert.throws(() => parseRequest(body), (error) => error instanceof DynamoError && error.isInvalidRequest);
    });
  }
});

describe("decodeRequestHead()", () => {
  const info = (change: Record<string, unknown> = {}) =>
    JSON.stringify({ address: "127.0.0.1:1", subject: "s", context: "r", stream_type: "response", ...change });
  const head = (change: Record<string, unknown> = {}) =>
    encodeText(JSON.stringify({
      id: "r",
      request_type: "single_in",
      response_type: "many_out",
      connection_info: { transport: "tcp_server", info: info() },
      ...change,
    }));
  it("reads JSON when no codec is named, and metadata", () => {
    const read = decodeRequestHead(head({ metadata: { tenant: "a" } }));
    assert.equal(read.codec, "json");
    assert.deepEqual(read.metadata, { tenant: "a" });
  });
  const bad: readonly (readonly [string, Record<string, unknown>])[] = [
    ["another context", { connection_info: { transport: "tcp_server", info: info({ context: "other" }) } }],
    ["a request stream", { connection_info: { transport: "tcp_server", info: info({ stream_type: "request" }) } }],
    ["the QUIC response plane", { connection_info: { transport: "quic-response", info: "{}" } }],
    ["info that is no JSON", { connection_info: { transport: "tcp_server", info: "{" } }],
    ["many_in", { request_type: "many_in" }],
    ["an unknown codec", { payload_codec: "cbor" }],
    ["no id", { id: "" }],
    ["no connection_info", { connection_info: undefined }],
  ];
  for (const [what, change] of bad) {
    it(`refuses ${what}`, () => assert.throws(() => decodeRequestHead(head(change)), SyntaxError));
  }
  it("refuses what is no JSON", () => assert.throws(() => decodeRequestHead(new Uint8Array([0xff])), SyntaxError));
});
