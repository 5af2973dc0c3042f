import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type Client,
  ClientError,
  type ClientOptions,
  openClient,
  type ResponseItem,
} from "../../src/client/client.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { encodeHandshake, encodePrologueError, FINAL, PROLOGUE_OK, SENTINEL } from "../../src/protocol/control.ts";
import { DynamoError } from "../../src/protocol/error.ts";
import { type MiniRequest, startMiniWorker } from "../support/mini_worker.ts";

const { net, clock, random } = realPlatform;
const BODY = { model: "tiny", token_ids: [256, 258, 71, 72, 261, 259], stop_conditions: { max_tokens: 3 } };

function open(options: Partial<ClientOptions> = {}): Promise<Client> {
  return openClient({ net, clock, random, ...options });
}

/** Runs one request against a script and returns what came of it. */
async function ask(
  script: (request: MiniRequest) => void | Promise<void>,
  options: Partial<ClientOptions> & { readonly codec?: "json" | "msgpack" } = {},
): Promise<{ items: ResponseItem[]; error: ClientError | null }> {
  await using worker = await startMiniWorker(net, script, options);
  await using client = await open(options);
  const items: ResponseItem[] = [];
  try {
    for await (const item of await client.send(worker.instance, { body: BODY })) items.push(item);
    return { items, error: null };
  } catch (error) {
    assert.ok(error instanceof ClientError, String(error));
    return { items, error };
  }
}

function tokens(items: readonly ResponseItem[]): number[] {
  return items.flatMap((item) => [...item.data?.token_ids ?? []]);
}

for (const codec of ["json", "msgpack"] as const) {
  test(`send() delivers all items of a whole response in ${codec}`, async () => {
    let seen: MiniRequest | undefined;
    const { items, error } = await ask(async (request) => {
      seen = request;
      const response = await request.answer();
      for (const id of [1, 2]) response.chunk({ token_ids: [id], index: 0 });
      response.chunk({ token_ids: [3], finish_reason: "length" });
      response.finish();
      await response.closed;
      assert.deepEqual(response.words, []);
    }, { codec });
    assert.equal(error, null);
    assert.deepEqual(tokens(items), [1, 2, 3]);
    assert.equal(items[2]?.data?.finish_reason, "length");
    assert.equal(seen?.head.codec, codec);
    assert.deepEqual(seen?.body, BODY);
    assert.equal(seen?.path, "9da2e903f2d76c86/dynamo/sample/generate");
    assert.equal(seen?.headers["x-endpoint-path"], seen?.path);
    assert.equal(seen?.headers["request-id"], seen?.head.id);
    assert.match(seen?.headers["x-frontend-send-ts-ns"] ?? "", /^\d{19}$/);
  });
}

test("send() takes a call home that comes before the acknowledgement", async () => {
  const { items, error } = await ask(async (request) => {
    const response = await request.dial();
    response.write(encodeHandshake(request.head.callHome.subject), PROLOGUE_OK);
    response.chunk({ token_ids: [7] });
    await new Promise<void>((resolve) => clock.endOfTurn(resolve));
    request.ack();
    response.finish();
  });
  assert.equal(error, null);
  assert.deepEqual(tokens(items), [7]);
});

const REFUSALS: readonly (readonly [text: string, errorClass: string, reason: string])[] = [
  ["Server overloaded: worker at capacity", "CapacityExhausted", "capacity.worker_overloaded"],
  ["Server unavailable: unknown endpoint x", "Unavailable", "backend.worker_unavailable"],
  ["Invalid endpoint path", "BackendProtocol", "backend.protocol"],
];
for (const [text, errorClass, reason] of REFUSALS) {
  test(`send() fails when the worker acknowledges with "${text}"`, async () => {
    const { error } = await ask((request) => request.ack(text));
    assert.equal(error?.class, errorClass);
    assert.equal(error?.reason, reason);
    assert.equal(error?.publicMessage, null);
  });
}

test("send() fails with the typed error of a prologue", async () => {
  const { error } = await ask(async (request) => {
    request.ack();
    const response = await request.dial();
    const refusal = encodePrologueError(new DynamoError("InvalidArgument", "max_tokens must be at least 1"));
    response.write(encodeHandshake(request.head.callHome.subject), refusal);
  });
  assert.equal(error?.class, "InvalidRequest");
  assert.equal(error?.reason, "backend.invalid_argument");
  assert.equal(error?.publicMessage, "max_tokens must be at least 1");
});

test("send() fails as cannot_connect when nobody listens", async () => {
  const worker = await startMiniWorker(net, () => {});
  await worker[Symbol.asyncDispose]();
  await using client = await open();
  await assert.rejects(client.send(worker.instance, { body: BODY }), { reason: "transport.cannot_connect" });
});

test("send() fails as cannot_connect when the connection closes before the acknowledgement", async () => {
  const { error } = await ask((request) => request.hangUp());
  assert.equal(error?.reason, "transport.cannot_connect");
});

test("send() fails as disconnected when the worker leaves between acknowledgement and call home", async () => {
  const { error } = await ask((request) => {
    request.ack();
    clock.endOfTurn(() => request.hangUp());
  });
  assert.ok(["transport.disconnected", "transport.cannot_connect"].includes(error?.reason ?? ""), error?.reason);
});

test("send() fails as connection_timeout when no acknowledgement comes, and the next answer keeps its place", async () => {
  const requests: MiniRequest[] = [];
  await using worker = await startMiniWorker(net, async (request) => {
    requests.push(request);
    if (requests.length === 1) return;
    requests[0]!.ack();
    const response = await request.answer();
    response.chunk({ token_ids: [9] });
    response.finish();
  });
  await using client = await open({ ackTimeoutMs: 500 });
  await assert.rejects(client.send(worker.instance, { body: BODY }), { reason: "transport.connection_timeout" });
  const items = await Array.fromAsync(await client.send(worker.instance, { body: BODY }));
  assert.deepEqual(tokens(items), [9]);
  const late = await requests[0]!.dial();
  late.write(encodeHandshake(requests[0]!.head.callHome.subject), PROLOGUE_OK);
  assert.equal(await late.word, "kill");
});

test("a response that is cut off throws disconnected after its items", async () => {
  const { items, error } = await ask(async (request) => {
    const response = await request.answer();
    response.chunk({ token_ids: [1] });
    response.conn.end();
  });
  assert.deepEqual(tokens(items), [1]);
  assert.equal(error?.reason, "transport.disconnected");
});

test("a sentinel without a final frame is incomplete, a final frame without a sentinel is complete", async () => {
  const incomplete = await ask(async (request) => (await request.answer()).write(SENTINEL));
  assert.equal(incomplete.error?.reason, "transport.disconnected");
  const complete = await ask(async (request) => {
    const response = await request.answer();
    response.write(FINAL.msgpack);
    response.conn.end();
  });
  assert.equal(complete.error, null);
});

test("a final frame with neither sentinel nor end is complete after the linger time", async () => {
  const { error } = await ask(async (request) => (await request.answer()).write(FINAL.msgpack), { lingerMs: 20 });
  assert.equal(error, null);
});

test("an error item is thrown after the items before it; what follows it is not delivered", async () => {
  const { items, error } = await ask(async (request) => {
    const response = await request.answer();
    response.chunk({ token_ids: [1] });
    response.item({ event: "error", error: new DynamoError("EngineShutdown", "gone").toWire() });
    response.chunk({ token_ids: [2] });
    response.finish();
  });
  assert.deepEqual(tokens(items), [1]);
  assert.equal(error?.class, "Unavailable");
  assert.equal(error?.reason, "backend.engine_shutdown");
  assert.equal(error?.message, "gone");
});

test("an error item with only comments is Internal", async () => {
  const { error } = await ask(async (request) => {
    const response = await request.answer();
    response.item({ event: "error", comment: ["one", "two"] });
    response.finish();
  });
  assert.equal(error?.class, "Internal");
  assert.equal(error?.message, "one, two");
});

test("an item after the final frame is an error", async () => {
  const { error } = await ask(async (request) => {
    const response = await request.answer();
    response.write(FINAL.msgpack);
    response.chunk({ token_ids: [1] });
    response.write(SENTINEL);
  });
  assert.equal(error?.class, "BackendProtocol");
});

test("an item that cannot be decoded is an error and kills the stream", async () => {
  let word: Promise<string> | undefined;
  const { error } = await ask(async (request) => {
    const response = await request.answer();
    word = response.word;
    response.write(new Uint8Array([...new Uint8Array(15), 2, ...new Uint8Array(8), 0xc1, 0xc1]));
    assert.equal(await response.word, "kill");
  });
  assert.equal(error?.class, "BackendProtocol");
  assert.equal(await word, "kill");
});

test("leaving the loop sends kill and closes", async () => {
  const heard = Promise.withResolvers<string>();
  await using worker = await startMiniWorker(net, async (request) => {
    const response = await request.answer();
    response.chunk({ token_ids: [1] });
    heard.resolve(await response.word);
    await response.closed;
  });
  await using client = await open();
  for await (const item of await client.send(worker.instance, { body: BODY })) {
    assert.deepEqual(item.data?.token_ids, [1]);
    break;
  }
  assert.equal(await heard.promise, "kill");
});

test("an aborted signal kills the request and throws Cancelled, before and after the first item", async () => {
  const words: string[] = [];
  const greeted = Promise.withResolvers<MiniRequest>();
  await using worker = await startMiniWorker(net, async (request) => {
    if (request.head.id === "early") {
      request.ack();
      return greeted.resolve(request);
    }
    const response = await request.answer();
    response.chunk({ token_ids: [1] });
    words.push(await response.word);
  });
  await using client = await open();
  const early = new AbortController();
  const pending = client.send(worker.instance, { id: "early", body: BODY, signal: early.signal });
  const request = await greeted.promise;
  early.abort();
  await assert.rejects(pending, { class: "Cancelled", reason: "request.cancelled" });
  const late = await request.dial();
  late.write(encodeHandshake(request.head.callHome.subject), PROLOGUE_OK);
  assert.equal(await late.word, "kill");

  const control = new AbortController();
  const stream = await client.send(worker.instance, { body: BODY, signal: control.signal });
  await assert.rejects(async () => {
    for await (const _item of stream) control.abort();
  }, { class: "Cancelled" });
  await assert.rejects(client.send(worker.instance, { body: BODY, signal: control.signal }), { class: "Cancelled" });
});

test("stop() asks the worker to finish, delivers what still comes and ends in order", async () => {
  await using worker = await startMiniWorker(net, async (request) => {
    const response = await request.answer();
    response.chunk({ token_ids: [1] });
    assert.equal(await response.word, "stop");
    response.chunk({ token_ids: [2] });
    response.conn.end();
  });
  await using client = await open();
  const stream = await client.send(worker.instance, { body: BODY });
  const seen: number[] = [];
  for await (const item of stream) {
    seen.push(...item.data?.token_ids ?? []);
    stream.stop();
  }
  assert.deepEqual(seen, [1, 2]);
});

test("requests share one connection and never cross", async () => {
  await using worker = await startMiniWorker(net, async (request) => {
    const response = await request.answer();
    const [first] = (request.body as { token_ids: number[] }).token_ids;
    for (let i = 0; i < 20; i++) response.chunk({ token_ids: [first! * 1000 + i] });
    response.finish();
  });
  await using client = await open();
  await Promise.all(Array.from({ length: 50 }, async (_, n) => {
    const items = await Array.fromAsync(await client.send(worker.instance, { body: { token_ids: [n] } }));
    assert.deepEqual(tokens(items), Array.from({ length: 20 }, (_, i) => n * 1000 + i));
  }));
  assert.equal(worker.connections, 1);
});

test("a reader that is slow stops the worker's writes and loses nothing", async () => {
  const count = 4000;
  const blocked = Promise.withResolvers<number>();
  await using worker = await startMiniWorker(net, async (request) => {
    const response = await request.answer();
    // 8 KiB an item: far more than the buffers of both sockets hold.
    for (let i = 0; i < count; i++) response.chunk({ token_ids: [i], text: "x".repeat(8192) });
    response.finish();
    clock.timer(200, () => blocked.resolve(response.conn.pendingBytes));
  });
  await using client = await open();
  const stream = await client.send(worker.instance, { body: BODY });
  assert.ok(await blocked.promise > 8192 * 64, "the worker could write everything");
  const items = await Array.fromAsync(stream);
  assert.deepEqual(tokens(items), Array.from({ length: count }, (_, i) => i));
});

test("an unknown subject is dropped, a used one too", async () => {
  await using worker = await startMiniWorker(net, async (request) => {
    const stranger = await request.dial();
    stranger.write(encodeHandshake("nobody"));
    await stranger.closed;
    const response = await request.answer();
    const again = await request.dial();
    again.write(encodeHandshake(request.head.callHome.subject));
    await again.closed;
    response.chunk({ token_ids: [1] });
    response.finish();
  });
  await using client = await open();
  const items = await Array.fromAsync(await client.send(worker.instance, { body: BODY }));
  assert.deepEqual(tokens(items), [1]);
});

test("a connection that does not say which request it answers is dropped in time", async () => {
  await using client = await open({ handshakeTimeoutMs: 20 });
  const gone = Promise.withResolvers<void>();
  const conn = await net.dial(client.address, { data() {}, end: () => conn.end(), closed: () => gone.resolve() });
  await gone.promise;
});

test("forget() fails requests the worker has not called home for and spares the others", async () => {
  const waiting = Promise.withResolvers<void>();
  await using worker = await startMiniWorker(net, async (request) => {
    if (request.head.id === "waiting") {
      request.ack();
      return waiting.resolve();
    }
    const response = await request.answer();
    await waiting.promise;
    clock.timer(20, () => {
      response.chunk({ token_ids: [1] });
      response.finish();
    });
  });
  await using client = await open();
  const running = await client.send(worker.instance, { body: BODY });
  const pending = client.send(worker.instance, { id: "waiting", body: BODY });
  await waiting.promise;
  client.forget({ ...worker.instance, endpoint: "other" });
  client.forget(worker.instance);
  await assert.rejects(pending, { reason: "transport.disconnected" });
  assert.deepEqual(tokens(await Array.fromAsync(running)), [1]);
});

test("disposing the client fails what is pending and tells the worker kill", async () => {
  const word = Promise.withResolvers<string>();
  await using worker = await startMiniWorker(net, async (request) => {
    if (request.head.id === "open") word.resolve(await (await request.answer()).word);
  });
  const client = await open();
  const stream = await client.send(worker.instance, { id: "open", body: BODY });
  const pending = assert.rejects(client.send(worker.instance, { id: "pending", body: BODY }), { class: "Cancelled" });
  const reading = assert.rejects(Array.fromAsync(stream), { class: "Cancelled" });
  await client[Symbol.asyncDispose]();
  await pending;
  await reading;
  assert.equal(await word.promise, "kill");
  await assert.rejects(client.send(worker.instance, { body: BODY }), { class: "Cancelled" });
});

test("a request that is too long is refused before it is sent", async () => {
  await using client = await open({ maxFrameBytes: 1000 });
  await using worker = await startMiniWorker(net, () => {});
  const body = { token_ids: new Array(2000).fill(1) };
  await assert.rejects(client.send(worker.instance, { body }), { class: "InvalidRequest" });
  assert.equal(worker.connections, 0);
});

test("an instance on another request plane is refused", async () => {
  await using client = await open();
  await using worker = await startMiniWorker(net, () => {});
  const instance = { ...worker.instance, transport: { nats_tcp: "x" } };
  await assert.rejects(client.send(instance, { body: BODY }), { class: "InvalidRequest" });
});
