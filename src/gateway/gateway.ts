/**
 * An OpenAI-compatible face for development: an honest client of discovery, request plane and response plane.
 *
 * @module
 */
import { type Context, Hono } from "hono";
import { type Client, type ClientOptions, openClient } from "../client/client.ts";
import { type Discovery, type InstanceWatch, watchInstances } from "../client/watch.ts";
import { ModelStore } from "../model/store.ts";
import type { Log } from "../observe/log.ts";
import {
  type Clock,
  type Files,
  type Http,
  listenFault,
  type Net,
  type Random,
  type SocketAddress,
} from "../platform/platform.ts";
import { effectiveContextLength } from "../protocol/model_card.ts";
import { parseJson } from "../protocol/payload.ts";
import { eventStream } from "./event_stream.ts";
import { collect, type Generation, type GenerationParts, openGeneration } from "./generate.ts";
import { type OpenAiRequest, parseChatRequest, parseCompletionRequest } from "./openai.ts";
import { type AnswerHead, answerObject, chunkObject, usageObject } from "./openai_answer.ts";
import { badRequest, GatewayError, gatewayError, modelNotFound } from "./openai_error.ts";
import { encodePrompts, preprocess } from "./preprocess.ts";

/** What the routes need. */
export interface GatewayParts {
  /** To reach workers. */
  readonly client: Client;
  /** The live models. */
  readonly instances: InstanceWatch;
  /** Their text sides. */
  readonly models: ModelStore;
  /** Time. */
  readonly clock: Clock;
  /** Request ids. */
  readonly random: Random;
  /** Log. */
  readonly log: Log;
}

/** The routes, without a server. Disposing them ends every answer that is being given. */
export interface GatewayRoutes extends Disposable {
  /** Answers one HTTP request. */
  fetch(request: Request): Response | Promise<Response>;
}

const METADATA_PREFIX = "x-dynamo-meta-";
/** Headers that workers get along with a request. @source dynamo-runtime 1.6.1, trace context of the request plane */
const PASSED_HEADERS = ["traceparent", "tracestate", "x-request-id"];

/** Makes the routes. */
export function createGateway(parts: GatewayParts): GatewayRoutes {
  const { client, instances, models, clock, random, log } = parts;
  const app = new Hono();
  const running = new Set<AbortController>();
  const created = Math.floor(clock.wallTime() / 1000);

  app.get("/health", (c) => c.json({ status: "healthy", models: instances.models.map(({ name }) => name) }));
  app.get("/v1/models", (c) => c.json({ object: "list", data: instances.models.map(({ name }) => modelObject(name)) }));
  // A model name may hold slashes.
  app.get("/v1/models/:id{.+}", (c) => {
    const name = c.req.param("id");
    if (instances.find(name) === undefined) throw modelNotFound(name);
    return c.json(modelObject(name));
  });
  app.post("/v1/chat/completions", async (c) => answer(c, parseChatRequest(await readBody(c))));
  app.post("/v1/completions", async (c) => answer(c, parseCompletionRequest(await readBody(c))));
  app.notFound((c) => {
    const message = `Unknown route: ${c.req.method} ${c.req.path}`;
    return errorResponse(
      new GatewayError(404, { message, type: "invalid_request_error", param: null, code: "unknown_url" }),
    );
  });
  app.onError((thrown) => failed(thrown));

  function modelObject(name: string): unknown {
    const card = instances.find(name)?.workers[0]?.card;
    const context_window = card === undefined ? 0 : effectiveContextLength(card);
    return { id: name, object: "model", created, owned_by: "stator", context_window };
  }

  function failed(thrown: unknown): Response {
    const error = gatewayError(thrown);
    if (error.status >= 500) log.warn("request failed", { status: error.status, error: error.cause ?? error });
    return errorResponse(error);
  }

  async function answer(c: Context, request: OpenAiRequest): Promise<Response> {
    const worker = instances.pick(request.model);
    if (worker === undefined) throw modelNotFound(request.model);
    const model = { card: worker.card, text: await models.load(worker.card) };
    const bodies = encodePrompts(request, model).map((ids) => preprocess(request, ids, model));

    const control = new AbortController();
    const leave = () => {
      control.abort();
      done();
    };
    const done = () => {
      running.delete(control);
      c.req.raw.signal.removeEventListener("abort", leave);
    };
    c.req.raw.signal.addEventListener("abort", leave);
    running.add(control);
    const id = random.uuid();
    const head = { kind: request.kind, id, model: request.model, created: Math.floor(clock.wallTime() / 1000) };
    const common = { client, clock, worker, model, signal: control.signal, ...passedOn(c) };
    try {
      const generations = await Promise.all(bodies.map((body, i) => {
        const generation: GenerationParts = { ...common, id: bodies.length === 1 ? id : `${id}-${i}` };
        return openGeneration(body, generation);
      }));
      if (request.isStream) return eventStream(events(request, head, generations, done), leave);
      const whole = answerObject(head, await Promise.all(generations.map(collect)));
      done();
      return c.json(whole);
    } catch (thrown) {
      // One prompt of several failed: the others are of no use any more.
      control.abort();
      done();
      throw thrown;
    }
  }

  /** The values of an event stream; a failure is the last of them. */
  async function* events(
    request: OpenAiRequest,
    head: AnswerHead,
    generations: readonly Generation[],
    done: () => void,
  ): AsyncGenerator<unknown, void> {
    const withUsage = request.includesUsage;
    try {
      for (const [index, generation] of generations.entries()) {
        let isFirst = true;
        for await (const piece of generation.pieces()) {
          if (piece.text === "" && piece.logprobs.length === 0 && piece.finishReason === null) continue;
          yield chunkObject(head, piece, { index, isFirst, withUsage });
          isFirst = false;
        }
      }
      if (withUsage) yield usageObject(head, generations.map(({ usage }) => usage));
    } catch (thrown) {
      const error = gatewayError(thrown);
      if (error.status >= 500) log.warn("stream failed", { status: error.status, error: error.cause ?? error });
      yield { error: error.error };
    } finally {
      done();
    }
  }

  return {
    fetch: (request) => app.fetch(request),
    [Symbol.dispose]() {
      for (const control of [...running]) control.abort();
    },
  };
}

async function readBody(c: Context): Promise<unknown> {
  try {
    return parseJson(await c.req.text());
  } catch (cause) {
    throw badRequest(`The body is not JSON: ${cause instanceof Error ? cause.message : cause}`);
  }
}

/** Headers that go to the worker: trace context as headers, `x-dynamo-meta-*` as metadata. */
function passedOn(c: Context): Pick<GenerationParts, "headers" | "metadata"> {
  const all = Object.entries(c.req.header());
  const metadata = all
    .filter(([name, value]) => name.startsWith(METADATA_PREFIX) && !/^bearer /i.test(value))
    .map(([name, value]) => [name.slice(METADATA_PREFIX.length), value] as const)
    .filter(([name]) => name !== "authorization");
  return {
    headers: Object.fromEntries(all.filter(([name]) => PASSED_HEADERS.includes(name))),
    metadata: Object.fromEntries(metadata),
  };
}

function errorResponse(error: GatewayError): Response {
  return Response.json({ error: error.error }, { status: error.status });
}

/** Settings of {@linkcode openGateway}. */
export interface GatewayOptions {
  /** What it needs of the platform. */
  readonly platform: {
    readonly http: Http;
    readonly net: Net;
    readonly clock: Clock;
    readonly random: Random;
    readonly files: Pick<Files, "read">;
  };
  /** Where workers are found. */
  readonly discovery: Discovery;
  /** Address to listen on. @default "127.0.0.1" */
  readonly host?: string;
  /** Port to listen on; 0 is any free one. @default 8000 */
  readonly port?: number;
  /** Log. */
  readonly log: Log;
  /** Settings of the client. */
  readonly client?: Partial<ClientOptions>;
}

/** A running gateway. Disposing it ends its answers and frees everything. */
export interface Gateway extends AsyncDisposable {
  /** Where it listens, as `host:port`. */
  readonly address: string;
  /** The models it knows. */
  readonly instances: InstanceWatch;
}

/**
 * Opens a gateway.
 *
 * @throws {Error} If the port is taken.
 */
export async function openGateway(options: GatewayOptions): Promise<Gateway> {
  const { platform, discovery, log } = options;
  const { clock, random } = platform;
  await using undo = new AsyncDisposableStack();
  const client = undo.use(await openClient({ net: platform.net, clock, random, log, ...options.client }));
  const instances = undo.use(
    await watchInstances(discovery, {
      left: (instance) => client.forget(instance),
      unreadable: (path, error) => log.warn("discovery record cannot be read", { path, error }),
    }),
  );
  const models = new ModelStore({ files: platform.files, clock });
  const routes = createGateway({ client, instances, models, clock, random, log });
  const address = { host: options.host ?? "127.0.0.1", port: options.port ?? 8000 };
  const server = undo.use(await serve(platform.http, address, routes));
  undo.use(routes);
  const opened = undo.move();
  const { host, port } = server.address;
  const bound = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return { address: bound, instances, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

async function serve(http: Http, address: SocketAddress, routes: GatewayRoutes): ReturnType<Http["serve"]> {
  try {
    return await http.serve(address, (request) => routes.fetch(request));
  } catch (cause) {
    const where = `${address.host}, port ${address.port}`;
    throw new Error(
      `Cannot open the gateway on ${where}: ${listenFault(cause)}; choose another one with --gateway-port`,
      {
        cause,
      },
    );
  }
}
