/**
 * The figures of a worker's publishers on `/metrics`.
 *
 * @module
 */
import type { EventPlane, EventPublisher } from "../event_plane/event_plane.ts";
import type { EventFigures, Metrics } from "../observe/metrics.ts";
import type { EndpointName } from "../protocol/record.ts";

/** A plane whose publishers are shown on `/metrics`, those of a topic together. It leaves the plane itself to its owner. */
export function countEvents(plane: EventPlane, metrics: Metrics, name: EndpointName): EventPlane {
  const publishers: EventPublisher[] = [];
  metrics.bindEvents(name, () => sums(publishers));
  return {
    name: plane.name,
    batchesSequences: plane.batchesSequences,
    async publisher(scope, topic) {
      const publisher = await plane.publisher(scope, topic);
      publishers.push(publisher);
      return publisher;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function sums(publishers: readonly EventPublisher[]): Map<string, EventFigures> {
  const byTopic = new Map<string, EventFigures>();
  for (const { topic, stats } of publishers) {
    const sum = byTopic.get(topic) ?? { published: 0, dropped: 0, cut: 0, waitingBytes: 0 };
    byTopic.set(topic, {
      published: sum.published + stats.published,
      dropped: sum.dropped + stats.dropped,
      cut: sum.cut + stats.cut,
      waitingBytes: sum.waitingBytes + stats.waitingBytes,
    });
  }
  return byTopic;
}
