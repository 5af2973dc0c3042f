/**
 * A collector of traces: OTLP over HTTP, as protobuf.
 *
 * @module
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { until } from "./processes.ts";

/** Attributes by name. */
export type Attributes = Readonly<Record<string, string | number | boolean | null>>;

/** One exported span. */
export interface ExportedSpan {
  /** `service.name` of the process. */
  readonly service: string;
  /** All that is said about the process. */
  readonly resource: Attributes;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first of a trace. */
  readonly parentId: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client. */
  readonly kind: number;
  readonly attributes: Attributes;
  readonly events: readonly string[];
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status: { readonly code: number; readonly message: string };
}

/** A running collector. */
export interface Collector extends AsyncDisposable {
  /** Where to send to. */
  readonly endpoint: string;
  /** What came so far. */
  readonly spans: readonly ExportedSpan[];
  /** Waits for a span. */
  span(name: string, service: string, traceId: string): Promise<ExportedSpan>;
}

/** How a collector answers: as it should, with a refusal, or never. */
export type Manners = "good" | "refusing" | "silent";

/** Opens a collector on a free port. */
export async function openCollector(manners: Manners = "good"): Promise<Collector> {
  const spans: ExportedSpan[] = [];
  const server = createServer((request, response) => {
    const parts: Uint8Array[] = [];
    request.on("data", (part) => parts.push(part)).on("end", () => {
      if (request.url === "/v1/traces") spans.push(...decodeTraces(Buffer.concat(parts)));
      if (manners === "silent") return;
      response.writeHead(manners === "good" ? 200 : 400, { "content-type": "application/x-protobuf" }).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    span: (name, service, traceId) =>
      until(
        `the span ${name} of ${service}`,
        30_000,
        () => spans.find((span) => span.name === name && span.service === service && span.traceId === traceId),
      ),
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The spans of an `ExportTraceServiceRequest`. @source opentelemetry-proto 1.5, `trace.proto` */
export function decodeTraces(bytes: Uint8Array): ExportedSpan[] {
  return fields(bytes).of(1).flatMap((resourceSpans) => {
    const resource = fields(resourceSpans);
    const about = attributes(fields(resource.of(1)[0] ?? NONE).of(1));
    const spans = resource.of(2).flatMap((scopeSpans) => fields(scopeSpans).of(2));
    return spans.map((span) => decodeSpan(span, about));
  });
}

function decodeSpan(bytes: Uint8Array, resource: Attributes): ExportedSpan {
  const span = fields(bytes);
  const status = fields(span.of(15)[0] ?? NONE);
  return {
    service: String(resource["service.name"]),
    resource,
    traceId: hex(span.of(1)[0]),
    spanId: hex(span.of(2)[0]),
    parentId: hex(span.of(4)[0]),
    name: text(span.of(5)[0]),
    kind: Number(span.number(6) ?? 0n),
    attributes: attributes(span.of(9)),
    events: span.of(11).map((event) => text(fields(event).of(2)[0])),
    links: span.of(13).map(fields).map((link) => ({ traceId: hex(link.of(1)[0]), spanId: hex(link.of(2)[0]) })),
    status: { code: Number(status.number(3) ?? 0n), message: text(status.of(2)[0]) },
  };
}

function attributes(pairs: readonly Uint8Array[]): Attributes {
  return Object.fromEntries(pairs.map(fields).map((pair) => [text(pair.of(1)[0]), value(pair.of(2)[0] ?? NONE)]));
}

function value(bytes: Uint8Array): string | number | boolean | null {
  const known = fields(bytes);
  if (known.of(1).length > 0) return text(known.of(1)[0]);
  if (known.number(2) !== undefined) return known.number(2) === 1n;
  if (known.number(3) !== undefined) return Number(known.number(3));
  const double = known.of(4)[0];
  return double === undefined ? null : new DataView(double.buffer, double.byteOffset).getFloat64(0, true);
}

/** The fields of a protobuf message. */
interface Fields {
  /** All values of a field that are bytes, wide or not. */
  of(id: number): readonly Uint8Array[];
  /** The last value of a field that is a number. */
  number(id: number): bigint | undefined;
}

const NONE = new Uint8Array(0);
const WIDTHS: Readonly<Record<number, number>> = { 1: 8, 5: 4 };

function fields(bytes: Uint8Array): Fields {
  const chunks = new Map<number, Uint8Array[]>();
  const numbers = new Map<number, bigint>();
  let at = 0;
  const varint = (): bigint => {
    let result = 0n;
    for (let shift = 0n;; shift += 7n) {
      const byte = bytes[at++]!;
      result |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return result;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const [id, type] = [tag >>> 3, tag & 7];
    if (type === 0) {
      numbers.set(id, varint());
      continue;
    }
    const length = WIDTHS[type] ?? Number(varint());
    const known = chunks.get(id) ?? [];
    chunks.set(id, [...known, bytes.subarray(at, at += length)]);
  }
  return { of: (id) => chunks.get(id) ?? [], number: (id) => numbers.get(id) };
}

function hex(bytes: Uint8Array = NONE): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function text(bytes: Uint8Array = NONE): string {
  return new TextDecoder().decode(bytes);
}
