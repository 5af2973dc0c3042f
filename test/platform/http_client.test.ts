/** HTTP calls of this machine, against its own server. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { realPlatform } from "../../src/platform/real.ts";
import type { HttpAnswer, HttpClient } from "../../src/platform/platform.ts";

const clients = realPlatform.httpClients!;

async function serve(handler: (request: Request) => Response | Promise<Response>) {
  const server = await realPlatform.http.serve({ host: "127.0.0.1", port: 0 }, handler);
  return {
    url: `http://127.0.0.1:${server.address.port}/path`,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function post(client: HttpClient, url: string, signal = new AbortController().signal): Promise<HttpAnswer> {
  return client.send({
    method: "POST",
    url,
    headers: { "content-type": "application/json", authorization: "t" },
    body: "{}",
    signal,
  });
}

async function text({ body }: HttpAnswer): Promise<string> {
  const decoder = new TextDecoder();
  let all = "";
  for await (const bytes of body) all += decoder.decode(bytes, { stream: true });
  return all;
}

test("a post carries body and headers; the answer has status, type and body", async () => {
  await using server = await serve(async (request) => {
    const said = `${request.method} ${new URL(request.url).pathname} ${await request.text()}`;
    return new Response(`${said} ${request.headers.get("authorization")}`, {
      status: 418,
      headers: { "content-type": "Text/Plain; charset=utf-8" },
    });
  });
  using client = clients.open();
  const answer = await post(client, server.url);
  assert.deepEqual([answer.status, answer.contentType], [418, "text/plain"]);
  assert.equal(await text(answer), "POST /path {} t");
});

test("an answer without a body, and one that leads elsewhere, are answers", async () => {
  await using server = await serve(() => new Response(null, { status: 302, headers: { location: "/other" } }));
  using client = clients.open();
  const answer = await post(client, server.url);
  assert.deepEqual([answer.status, await text(answer)], [302, ""]);
});

test("a body that rests comes as it is sent, and ends when its request is aborted", async () => {
  let hasLeft: () => void;
  const left = new Promise<void>((resolve) => hasLeft = resolve);
  await using server = await serve(() =>
    new Response(
      new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode("first\n")),
        cancel: () => hasLeft(),
      }),
    )
  );
  using client = clients.open();
  const over = new AbortController();
  const { body } = await post(client, server.url, over.signal);
  const parts: string[] = [];
  await assert.rejects(async () => {
    for await (const bytes of body) {
      parts.push(new TextDecoder().decode(bytes));
      realPlatform.clock.timer(0, () => over.abort(new Error("enough")));
    }
  }, /enough/);
  assert.deepEqual(parts, ["first\n"]);
  await left;
});

test("a request that is aborted before its answer, or meets nobody, fails", async () => {
  // Deno's server waits for its handlers.
  await using server = await serve(({ signal }) =>
    new Promise<Response>((resolve) => signal.addEventListener("abort", () => resolve(new Response())))
  );
  using client = clients.open();
  const over = new AbortController();
  realPlatform.clock.timer(0, () => over.abort(new Error("enough")));
  await assert.rejects(post(client, server.url, over.signal), /enough/);
  const gone = await serve(() => new Response());
  await gone[Symbol.asyncDispose]();
  await assert.rejects(post(client, gone.url));
});
