/**
 * The metrics of one endpoint's requests.
 *
 * @module
 */
import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { CATALOGUE, type Row } from "./metric_catalogue.ts";
import type { EndpointLabels } from "./metric_labels.ts";

/** Where a request went wrong; the values of the label `error_type`. */
export type ErrorType =
  | "deserialization"
  | "invalid_message"
  | "response_stream"
  | "generate"
  | "serialization"
  | "publish_response"
  | "publish_final";

/** Metrics of one endpoint's requests. */
export interface EndpointMetrics {
  /** A request was taken in. @param bytes Length of its body. */
  received(bytes: number): void;
  /** Its answer has ended, well or not. @param seconds Since it was received. @param responseBytes All that was sent. */
  finished(seconds: number, responseBytes: number): void;
  /** A frontend gave a request up. */
  cancelled(): void;
  /** A request went wrong. */
  failed(type: ErrorType): void;
  /** The engine went on after an abort until its stream was detached. */
  abortIgnored(): void;
  /** The engine was still at a request when its deadline passed. */
  deadlineExceeded(): void;
  /** The engine broke the stream contract. @param kind Which rule. */
  violated(kind: string): void;
  /** Requests received and not yet finished. */
  readonly inflight: number;
}

/** Makes the metrics of endpoints, in families that they share. */
export interface EndpointFamilies {
  /** Makes those of one endpoint. Call it once for each. */
  create(labels: EndpointLabels): EndpointMetrics;
  /** Sets the gauges; to be called before a scrape. */
  update(): void;
}

/** Registers the families that endpoints share. */
export function createEndpointFamilies(registry: Registry): EndpointFamilies {
  const registers = [registry];
  const counter = ({ buckets: _, ...config }: Row): Counter => new Counter({ ...config, registers });
  const families = {
    requests: counter(CATALOGUE.requests),
    requestBytes: counter(CATALOGUE.requestBytes),
    responseBytes: counter(CATALOGUE.responseBytes),
    cancellations: counter(CATALOGUE.cancellations),
    abortsIgnored: counter(CATALOGUE.abortsIgnored),
    deadlinesExceeded: counter(CATALOGUE.deadlinesExceeded),
  };
  const errors = counter(CATALOGUE.errors);
  const violations = counter(CATALOGUE.violations);
  const duration = new Histogram({ ...CATALOGUE.duration, registers });
  const { buckets: _, ...inflightRow } = CATALOGUE.inflight;
  const inflight = new Gauge({ ...inflightRow, registers });
  const updates: (() => void)[] = [];

  return {
    create(labels) {
      const counted = (family: Counter): Counter.Internal => {
        const series = family.labels({ ...labels });
        series.inc(0);
        return series;
      };
      const [requests, requestBytes] = [counted(families.requests), counted(families.requestBytes)];
      const [responseBytes, cancellations] = [counted(families.responseBytes), counted(families.cancellations)];
      const abortsIgnored = counted(families.abortsIgnored);
      const deadlinesExceeded = counted(families.deadlinesExceeded);
      const durations = duration.labels({ ...labels });
      duration.zero({ ...labels });
      let running = 0;
      // In the order in which they are written.
      const { worker_id, ...endpoint } = labels;
      const gauge = inflight.labels({ ...labels });
      updates.push(() => gauge.set(running));
      return {
        received(bytes) {
          running++;
          requests.inc();
          requestBytes.inc(bytes);
        },
        finished(seconds, bytes) {
          running--;
          durations.observe(seconds);
          responseBytes.inc(bytes);
        },
        cancelled: () => cancellations.inc(),
        failed: (error_type) => errors.inc({ ...endpoint, error_type, worker_id }),
        abortIgnored: () => abortsIgnored.inc(),
        deadlineExceeded: () => deadlinesExceeded.inc(),
        violated: (kind) => violations.inc({ ...endpoint, kind, worker_id }),
        get inflight() {
          return running;
        },
      };
    },
    update: () => updates.forEach((update) => update()),
  };
}
