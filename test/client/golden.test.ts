/** The client beside bytes captured from a real Dynamo 1.6.1 frontend and worker. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ClientError, openClient, type ResponseItem } from "../../src/client/client.ts";
import type { ConnHandlers } from "../../src/platform/platform.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { decodeHeaders, decodeRequestHead, encodeHandshake } from "../../src/protocol/control.ts";
import { decodeTwoPart, type RequestFrame, RequestFrameParser } from "../../src/protocol/frame.ts";
import { decodeMsgpack, decodeText } from "../../src/protocol/payload.ts";
import { startMiniWorker } from "../support/mini_worker.ts";

const { net, clock, random } = realPlatform;
const GOLDEN = new URL("../golden/request-plane/", import.meta.url);

/** Two-part frames that the worker sent on the response connection of a transcript, in order. */
function workerFrames(name: string): Uint8Array[] {
  const lines = readFileSync(new URL(`streams/${name}.txt`, GOLDEN), "utf8").split("\n");
  return lines.flatMap((line) => {
    const hex = /rsp:\d+ > TWO-PART .* ([0-9a-f]+)$/.exec(line)?.[1];
    return hex === undefined ? [] : [Uint8Array.from(hex.match(/../g)!, (byte) => Number.parseInt(byte, 16))];
  });
}

/** Replays a captured response, its handshake naming our subject, and returns what the client made of it. */
async function replay(
  frames: readonly Uint8Array[],
  options: { readonly codec?: "json" | "msgpack"; readonly pieces?: number } = {},
): Promise<{ items: ResponseItem[]; error: ClientError | null }> {
  await using worker = await startMiniWorker(net, async (request) => {
    request.ack();
    const response = await request.dial();
    const bytes = Buffer.concat([encodeHandshake(request.head.callHome.subject), ...frames.slice(1)]);
    const size = options.pieces ?? bytes.length;
    for (let at = 0; at < bytes.length; at += size) {
      response.write(bytes.subarray(at, at + size));
      if (size < bytes.length) await new Promise<void>((resolve) => clock.endOfTurn(resolve));
    }
    response.conn.end();
  }, { codec: options.codec ?? "msgpack" });
  await using client = await openClient({ net, clock, random });
  const items: ResponseItem[] = [];
  try {
    for await (const item of await client.send(worker.instance, { body: {} })) items.push(item);
    return { items, error: null };
  } catch (error) {
    assert.ok(error instanceof ClientError, String(error));
    return { items, error };
  }
}

function ids(items: readonly ResponseItem[]): number[] {
  return items.flatMap((item) => [...item.data?.token_ids ?? []]);
}

test("a captured response gives the captured items, in one piece and byte by byte", async () => {
  const bytes = new Uint8Array(readFileSync(new URL("frames/chat-callhome-worker-to-frontend.bin", GOLDEN)));
  const handshake = encodeHandshake("950b821a-735c-4fa9-af68-fbe2c16f0a35");
  assert.deepEqual(bytes.subarray(0, handshake.length), handshake);
  for (const pieces of [bytes.length, 7, 1]) {
    const { items, error } = await replay([handshake, bytes.subarray(handshake.length)], { pieces });
    assert.equal(error, null);
    assert.deepEqual(ids(items), [1, 2, 3]);
    assert.equal(items[2]?.data?.finish_reason, "length");
    assert.deepEqual(items[2]?.data?.completion_usage, { prompt_tokens: 6, completion_tokens: 3, total_tokens: 9 });
  }
});

const ERRORS: readonly (readonly [name: string, errorClass: string, reason: string, publicMessage: string | null])[] = [
  ["error-connection-timeout", "DeadlineExceeded", "backend.connection_timeout", null],
  ["error-engine-shutdown-mid-stream", "Unavailable", "backend.engine_shutdown", null],
  ["error-stream-incomplete", "Unavailable", "backend.stream_incomplete", null],
  ["error-unknown", "Internal", "backend.unknown", null],
  ["error-cancelled", "Cancelled", "backend.cancelled", null],
  ["error-python-valueerror", "InvalidRequest", "backend.invalid_argument", null],
  ["error-invalid-argument-before-first-item", "InvalidRequest", "backend.invalid_argument", "bad prompt: héllo"],
];
for (const [name, errorClass, reason, publicMessage] of ERRORS) {
  test(`the captured response ${name} ends as ${errorClass}`, async () => {
    const { error } = await replay(workerFrames(name));
    assert.equal(error?.class, errorClass);
    assert.equal(error?.reason, reason);
    assert.equal(error?.publicMessage, publicMessage);
  });
}

test("captured odd ends are complete, a worker that died is not", async () => {
  for (const name of ["empty-stream", "no-finish-reason", "finish-reason-error", "finish-reason-cancelled"]) {
    const { error } = await replay(workerFrames(name));
    assert.equal(error, null, name);
  }
  const { error } = await replay(workerFrames("worker-process-dies"), { codec: "json" });
  assert.equal(error?.reason, "transport.disconnected");
});

test("captured JSON responses decode like msgpack ones", async () => {
  const frames = workerFrames("chat-stream-json-codec");
  const second = frames.findIndex((frame, i) => i > 0 && decodeText(decodeTwoPart(frame)!.header).includes("subject"));
  const killed = await replay(frames.slice(0, second), { codec: "json" });
  assert.deepEqual(ids(killed.items), [1, 2]);
  assert.equal(killed.error?.reason, "transport.disconnected");
  const failed = await replay(frames.slice(second), { codec: "json" });
  assert.equal(failed.error?.reason, "backend.invalid_argument");
  assert.equal(failed.error?.publicMessage, "bad prompt: héllo");
});

test("start() encodes the request frame like the captured one", async () => {
  const golden = readFileSync(new URL("frames/chat-rpc-frontend-to-worker.bin", GOLDEN));
  const captured = parseFrame(new Uint8Array(golden));
  const envelope = decodeTwoPart(captured.payload)!;
  const head = decodeRequestHead(envelope.header);
  const got = Promise.withResolvers<Uint8Array>();
  const parts: Uint8Array[] = [];
  await using listener = await net.listen({ host: "127.0.0.1", port: 0 }, (conn): ConnHandlers => ({
    data: (bytes) => {
      parts.push(bytes.slice());
      const all = Buffer.concat(parts);
      if (all.length >= golden.length) got.resolve(new Uint8Array(all));
    },
    end: () => conn.end(),
    closed() {},
  }));
  await using client = await openClient({
    net,
    clock: { ...clock, wallTime: () => 1795439373964.622 },
    random: { ...random, uuid: () => head.callHome.subject },
  });
  const body = decodeMsgpack(envelope.body);
  const call = client.start(
    {
      namespace: "dynamo",
      component: "sample",
      endpoint: "generate",
      instance_id: 0x9da2e903f2d76c86n,
      transport: { tcp: `127.0.0.1:${listener.address.port}/9da2e903f2d76c86/dynamo/sample/generate` },
      request_plane_codec: "msgpack",
    },
    { id: head.id, body },
    { ended() {} },
  );
  const ours = parseFrame(await got.promise);
  call.kill();
  assert.deepEqual(ours.path, captured.path);
  const headers = decodeHeaders(ours.headers);
  const capturedHeaders = decodeHeaders(captured.headers);
  assert.deepEqual(Object.keys(headers).sort(), Object.keys(capturedHeaders).sort());
  assert.equal(headers["request-id"], capturedHeaders["request-id"]);
  assert.equal(headers["x-endpoint-path"], capturedHeaders["x-endpoint-path"]);
  const ourEnvelope = decodeTwoPart(ours.payload)!;
  assert.deepEqual(ourEnvelope.body, envelope.body);
  const port = `:${client.address.port}`;
  assert.equal(decodeText(ourEnvelope.header).replace(port, ":8223"), decodeText(envelope.header));
});

function parseFrame(bytes: Uint8Array): RequestFrame {
  const frames: RequestFrame[] = [];
  new RequestFrameParser(1 << 20).push(bytes, (frame) => void frames.push(frame));
  assert.equal(frames.length, 1);
  return frames[0]!;
}
