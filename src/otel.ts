/**
 * Exports traces over OTLP, for hosts without an OpenTelemetry SDK of their own.
 *
 * `serve()` loads it by itself when `OTEL_EXPORT_ENABLED` is set. A program that embeds a worker calls
 * {@linkcode startOtel} before it makes the worker. The standard `OTEL_*` variables apply: endpoint, headers, time-out,
 * compression, sampler, limits of the queue.
 *
 * @module
 */
import { context, diag, DiagLogLevel, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace-base";
import { openTracing } from "./observe/trace.ts";
import { delay } from "./platform/platform.ts";
import { realPlatform } from "./platform/real.ts";

/** The export of traces. Disposing it sends what is left, for as long as that may take. */
export interface Otel extends AsyncDisposable {
  /** Whether this call began the export; if not, somebody had registered a provider before. */
  readonly isOurs: boolean;
}

/** Settings of {@linkcode startOtel}. */
export interface OtelOptions {
  /** Takes a sentence when something is not as the operator may think. @default nobody */
  readonly warn?: (message: string) => void;
  /**
   * Longest wait for the last spans: a collector that is gone must not hold up the end of a process.
   *
   * @unit seconds
   * @default 2
   */
  readonly flushSeconds?: number;
  /** Variables for endpoint, resource and sampling; the SDK reads the others from the process. @default those of the process */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Registers a provider for traces that exports over OTLP, unless there is one, such as Deno's own under
 * `OTEL_DENO=true`.
 *
 * Serving never waits for the collector: spans queue up, to a limit, and are sent in batches.
 *
 * @env OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
 * OTEL_TRACES_SAMPLE_RATIO
 */
export function startOtel(options: OtelOptions = {}): Otel {
  const { env = realPlatform.process.env, warn = () => {}, flushSeconds = 2 } = options;
  if (openTracing() !== null) return { isOurs: false, [Symbol.asyncDispose]: () => Promise.resolve() };
  for (const sentence of adviceOn(env)) warn(sentence);
  const report = reportOnce(warn);
  const sampler = samplerOf(env, warn);
  const provider = new BasicTracerProvider({
    resource: defaultResource().merge(resourceFromAttributes(resourceOf(env))),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: endpointOf(env) }))],
    ...(sampler === null ? {} : { sampler }),
  });
  const manager = new AsyncLocalStorageContextManager().enable();
  context.setGlobalContextManager(manager);
  trace.setGlobalTracerProvider(provider);
  return {
    isOurs: true,
    async [Symbol.asyncDispose](): Promise<void> {
      trace.disable();
      context.disable();
      const sent = new AbortController();
      const ended = provider.shutdown().catch((error) => report(String(error))).then(() => sent.abort());
      await Promise.race([ended, delay(realPlatform.clock, 1000 * flushSeconds, sent.signal)]);
      if (!sent.signal.aborted) report(`the last ones were not taken within ${flushSeconds} s`);
      diag.disable();
    },
  };
}

/** @source OpenTelemetry specification, OTLP exporter: the address of one signal is taken as it is */
function endpointOf(env: Readonly<Record<string, string | undefined>>): string {
  const base = env.OTEL_EXPORTER_OTLP_ENDPOINT || "http://localhost:4318";
  return env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || `${base.replace(/\/$/, "")}/v1/traces`;
}

/** The SDK reports each batch that failed; one line is enough to look at the collector. */
function reportOnce(warn: (message: string) => void): (message: string) => void {
  let hasWarned = false;
  const report = (message: string) => {
    if (hasWarned) return;
    hasWarned = true;
    warn(`Traces cannot be exported; this is said once: ${message.slice(0, 300)}`);
  };
  const ignore = () => {};
  diag.setLogger({ error: report, warn: ignore, info: ignore, debug: ignore, verbose: ignore }, {
    logLevel: DiagLogLevel.ERROR,
    suppressOverrideMessage: true,
  });
  return report;
}

/** Dynamo's default is gRPC, which this worker does not speak, and the ports differ. */
function adviceOn(env: Readonly<Record<string, string | undefined>>): string[] {
  const protocol = env.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL || env.OTEL_EXPORTER_OTLP_PROTOCOL || "";
  const endpoint = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || env.OTEL_EXPORTER_OTLP_ENDPOINT || "";
  const advice: string[] = [];
  if (protocol !== "" && protocol !== "http/protobuf") {
    advice.push(`OTEL_EXPORTER_OTLP_PROTOCOL is ${protocol}, but this worker exports traces as http/protobuf only`);
  }
  if (/:4317\b/.test(endpoint)) {
    advice.push(
      `The OTLP endpoint ${endpoint} is the usual port of gRPC; this worker needs that of HTTP, usually 4318`,
    );
  }
  return advice;
}

/** @source dynamo-runtime 1.6.1, `logging.rs`: the name is `dynamo` unless said otherwise */
function resourceOf(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const pairs = (env.OTEL_RESOURCE_ATTRIBUTES ?? "").split(",").flatMap((pair) => {
    const at = pair.indexOf("=");
    return at < 1 ? [] : [[pair.slice(0, at).trim(), decoded(pair.slice(at + 1).trim())]];
  });
  const given = Object.fromEntries(pairs) as Record<string, string>;
  return {
    "service.name": "dynamo",
    ...given,
    ...(env.OTEL_SERVICE_NAME ? { "service.name": env.OTEL_SERVICE_NAME } : {}),
  };
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

/** The sampler of `OTEL_TRACES_SAMPLE_RATIO`; without it the SDK makes one of the standard variables. */
function samplerOf(env: Readonly<Record<string, string | undefined>>, warn: (message: string) => void): Sampler | null {
  const text = env.OTEL_TRACES_SAMPLE_RATIO ?? "";
  if (text.trim() === "") return null;
  const ratio = Number(text);
  if (ratio >= 0 && ratio <= 1) return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) });
  warn(`Ignoring OTEL_TRACES_SAMPLE_RATIO=${text}: it must be between 0 and 1`);
  return null;
}
