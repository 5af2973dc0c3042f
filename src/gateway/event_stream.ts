/**
 * Server-sent events.
 *
 * @module
 */
import { encodeText, stringifyJson } from "../protocol/payload.ts";

/**
 * An answer that sends each value as one event and ends with `[DONE]`.
 *
 * @param values Must not fail: by then the status is sent.
 * @param left Called when the client goes away.
 */
export function eventStream(values: AsyncIterator<unknown>, left: () => void): Response {
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await values.next();
      controller.enqueue(encodeText(`data: ${done ? "[DONE]" : stringifyJson(value)}\n\n`));
      if (done) controller.close();
    },
    cancel: left,
  });
  return new Response(body, { headers: { "content-type": "text/event-stream", "cache-control": "no-cache" } });
}
