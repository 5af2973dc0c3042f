/**
 * Tells routers when a request has its first token, so that they stop counting its prefill.
 *
 * @module
 */
import type { EventPlane } from "../event_plane/event_plane.ts";
import type { ActiveRequest } from "../pipeline/active_request.ts";
import type { Clock } from "../platform/platform.ts";
import { ACTIVE_SEQUENCES_TOPIC } from "../protocol/event.ts";
import { type ActiveSequenceEvent, encodeActiveSequence, encodeActiveSequences } from "../protocol/load_event.ts";
import type { EndpointName } from "../protocol/record.ts";
import type { GenerateRequest } from "../protocol/request.ts";
import type { Planes } from "./backends.ts";
import { announceChannel, endpointScope } from "./event_records.ts";

/** Most events of one message, and the longest they wait for more. @source dynamo-llm 1.6.1, first-token publisher */
const BATCH_EVENTS = 256;
const BATCH_MS = 1;

/** What is told of requests. Disposing it sends what waits and ends it. */
export interface FirstTokens extends AsyncDisposable {
  /** Follows a request that a router placed on a rank; any other is left alone. */
  follow(body: GenerateRequest, request: ActiveRequest): void;
}

/** Opens the publisher. @source dynamo-llm 1.6.1, `active_sequences_events` of aggregated and decode workers */
export async function openFirstTokens(
  events: EventPlane,
  { discovery }: Planes,
  name: EndpointName,
  clock: Clock,
): Promise<FirstTokens> {
  await using undo = new AsyncDisposableStack();
  const publisher = undo.use(await events.publisher(endpointScope(name), ACTIVE_SEQUENCES_TOPIC));
  undo.use(await announceChannel(discovery, publisher));
  const worker_id = discovery.instanceId;
  let waiting: ActiveSequenceEvent[] = [];
  let timer: Disposable | null = null;
  const flush = (): void => {
    timer?.[Symbol.dispose]();
    timer = null;
    if (waiting.length > 0) publisher.publish(encodeActiveSequences(waiting));
    waiting = [];
  };
  undo.defer(flush);
  const tell = (event: ActiveSequenceEvent): void => {
    if (!events.batchesSequences) return publisher.publish(encodeActiveSequence(event));
    if (waiting.push(event) >= BATCH_EVENTS) flush();
    else timer ??= clock.timer(BATCH_MS, flush);
  };
  const opened = undo.move();
  return {
    follow(body, request) {
      const { dp_rank } = body.routing;
      if (dp_rank === undefined || dp_rank === null) return;
      const worker = { worker_id, dp_rank };
      const rest = { data: "MarkPrefillCompleted", router_id: worker_id, lora_name: null } as const;
      request.onFirstToken(() => tell({ request_id: request.id, worker, ...rest }));
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}
