/**
 * Who may import whom, as data, and the check.
 *
 * @module
 */
import { codeOnly, type Import, imports, type Source } from "./sources.ts";

/** What the files of one layer may import. */
export interface Layer {
  readonly name: string;
  /** Which files belong to it; the first layer that fits takes the file. */
  readonly files: RegExp;
  /** Layers whose values and types it may import; its own is always allowed. */
  readonly layers: readonly string[];
  /** Layers it may import types of. */
  readonly types?: readonly string[];
  /** Layers it may import by `import()` only. */
  readonly dynamic?: readonly string[];
  /** npm packages and `node:` modules, by prefix. */
  readonly packages?: readonly string[];
}

/** Layers that say only what a plane or a store has to be able to do. */
const SEAMS = ["platform seam", "discovery seam", "request plane seam", "response plane seam", "event plane seam"];

/** Seams and implementations of planes and discovery. */
const PLANE = ["platform seam", "protocol", "zmtp", "nats", "observe"];

const EVERYTHING_IN_SRC = [
  ...["protocol", "engine", ...SEAMS, "platform", "real platform", "zmtp", "nats", "model", "observe"],
  ...[
    "request plane",
    "response plane",
    "event plane",
    "discovery",
    "kv",
    "client",
    "pipeline",
    "worker",
    "backends",
    "gateway",
    "serve",
  ],
];

/** The table of the style guide, one row a layer. */
export const LAYERS: readonly Layer[] = [
  {
    name: "protocol",
    files: /^src\/protocol\//,
    layers: [],
    packages: ["@msgpack/msgpack", "hash-wasm", "@noble/hashes"],
  },
  { name: "engine", files: /^src\/engine\//, layers: ["protocol"] },
  { name: "platform seam", files: /^src\/platform\/platform\.ts$/, layers: [] },
  // Imports nothing of ours, since what it imports is parsed by runtimes that know less.
  { name: "runtime", files: /^src\/platform\/runtime\.ts$/, layers: [], packages: ["node:"] },
  {
    name: "real platform",
    files: /^src\/platform\/real\w*\.ts$/,
    layers: ["runtime", "platform", "platform seam"],
    packages: ["node:", "bun:", "@nats-io/"],
  },
  {
    name: "platform",
    files: /^src\/platform\//,
    layers: ["platform seam"],
    packages: ["node:", "@nats-io/"],
  },
  { name: "zmtp", files: /^src\/zmtp\//, layers: ["platform seam"] },
  {
    name: "nats",
    files: /^src\/nats\//,
    layers: ["platform seam", "protocol", "observe"],
    packages: ["@nats-io/"],
  },
  {
    name: "model",
    files: /^src\/model\//,
    layers: ["platform seam", "protocol"],
    packages: ["@huggingface/tokenizers", "@huggingface/jinja"],
  },
  {
    name: "observe",
    files: /^src\/observe\//,
    layers: ["platform seam", "protocol"],
    packages: ["prom-client", "hono", "@opentelemetry/api"],
  },
  { name: "discovery seam", files: /^src\/discovery\/discovery\.ts$/, layers: ["platform seam", "protocol"] },
  {
    name: "discovery",
    files: /^src\/discovery\//,
    layers: ["discovery seam", ...PLANE],
    // Configurations of clusters are written in it.
    packages: ["yaml"],
  },
  {
    name: "request plane seam",
    files: /^src\/request_plane\/request_plane\.ts$/,
    layers: ["platform seam", "protocol"],
  },
  {
    name: "request plane",
    files: /^src\/request_plane\//,
    layers: ["request plane seam", ...PLANE],
  },
  {
    name: "response plane seam",
    files: /^src\/response_plane\/response_plane\.ts$/,
    layers: ["platform seam", "protocol"],
  },
  { name: "response plane", files: /^src\/response_plane\//, layers: ["response plane seam", ...PLANE] },
  { name: "event plane seam", files: /^src\/event_plane\/event_plane\.ts$/, layers: ["platform seam", "protocol"] },
  {
    name: "event plane",
    files: /^src\/event_plane\//,
    layers: ["event plane seam", ...PLANE],
    // Brokers are found there.
    types: ["discovery seam"],
  },
  { name: "kv", files: /^src\/kv\//, layers: ["protocol", "engine", "zmtp", "observe"], types: SEAMS },
  { name: "client", files: /^src\/client\//, layers: ["platform seam", "protocol"], types: SEAMS },
  {
    name: "pipeline",
    files: /^src\/pipeline\//,
    layers: ["platform seam", "protocol", "engine", "observe"],
    types: SEAMS,
  },
  {
    name: "backends",
    files: /^src\/worker\/backends\.ts$/,
    layers: [
      ...["worker", "discovery", "request plane", "response plane", "event plane", "nats", "protocol", "observe"],
      ...SEAMS,
    ],
  },
  {
    name: "worker",
    files: /^src\/worker\//,
    layers: ["backends", "protocol", "engine", "zmtp", "model", "observe", "kv", "pipeline", "platform", ...SEAMS],
  },
  {
    name: "gateway",
    files: /^src\/gateway\//,
    layers: ["platform seam", "client", "model", "protocol", "observe"],
    types: SEAMS,
    packages: ["hono"],
  },
  {
    name: "serve",
    files: /^src\/serve\.ts$/,
    layers: [
      "worker",
      "backends",
      "platform",
      "runtime",
      "real platform",
      "platform seam",
      "engine",
      "observe",
      "protocol",
    ],
    dynamic: ["gateway", "otel"],
  },
  {
    name: "otel",
    files: /^src\/otel\.ts$/,
    layers: ["observe", "real platform", "platform seam"],
    // The one entry that loads an SDK; the rest of the package knows the API at most.
    packages: ["@opentelemetry/"],
  },
  // The one entry to the sockets that brings this machine along; the sockets themselves know the seam only.
  { name: "zmtp entry", files: /^src\/zmtp\.ts$/, layers: ["zmtp"], dynamic: ["real platform"] },
  { name: "testing", files: /^src\/testing\//, layers: EVERYTHING_IN_SRC },
  { name: "command table", files: /^src\/commands\/run\.ts$/, layers: ["commands", ...EVERYTHING_IN_SRC] },
  // Their text is code of projects that are outside.
  { name: "templates", files: /^src\/commands\/create\//, layers: [], packages: ["@stator/worker", "node:"] },
  {
    name: "commands",
    files: /^src\/commands\//,
    layers: [...EVERYTHING_IN_SRC, "testing", "simulated engines", "templates"],
  },
  { name: "package entry", files: /^mod\.ts$/, layers: ["protocol", "engine", "worker", "serve"] },
  {
    name: "main",
    files: /^main\.ts$/,
    layers: ["runtime"],
    types: ["engine"],
    dynamic: ["command table", "commands", "engines", "compile"],
  },
  // Pure, so that a worker's clock and a replay's virtual one can drive the same code.
  { name: "simulated engines", files: /^engines\/mocker\/(?!live\/)/, layers: [] },
  { name: "engines", files: /^engines\//, layers: ["simulated engines"], packages: ["@stator/worker", "node:"] },
  { name: "compile", files: /^compile\//, layers: ["engines"], packages: ["@stator/worker", "node:"] },
];

/** Time, chance and timers, which only the real platform may take from the runtime. */
const FORBIDDEN_IN_SRC =
  /\b(?:Date\.now|new Date\(\)|performance\.now|Math\.random|setTimeout|setInterval|setImmediate|queueMicrotask|AbortSignal\.timeout|crypto\.(?:randomUUID|getRandomValues))\b/g;

/** What is wrong with a file, one sentence each. */
export function complaints(source: Source): string[] {
  const layer = layerOf(source.path);
  if (layer === undefined) return [`${source.path} belongs to no layer; add a row to test/repo/layers.ts`];
  return [
    ...imports(source).flatMap((found) => complainAboutImport(source.path, layer, found)),
    ...complainAboutRuntime(source, layer),
  ];
}

function complainAboutImport(path: string, layer: Layer, found: Import): string[] {
  const isOurs = /^(?:src|engines|compile|test)\//.test(found.target) || /^(?:main|mod)\.ts$/.test(found.target);
  if (!isOurs) {
    const known = layer.packages ?? [];
    // Engines are written by outsiders, with any package they like.
    const isFree = layer.name === "engines" || layer.name === "compile" || layer.name === "testing";
    if (isFree || known.some((prefix) => found.target === prefix || found.target.startsWith(slashed(prefix)))) {
      return [];
    }
    return [`${path} (${layer.name}) must not import the package ${found.target}`];
  }
  const target = layerOf(found.target);
  if (target === undefined) return [`${path} imports ${found.target}, which belongs to no layer`];
  const allowed = layer === target || layer.layers.includes(target.name) ||
    (found.typeOnly && layer.types?.includes(target.name)) || (found.dynamic && layer.dynamic?.includes(target.name));
  if (allowed) return [];
  const how = found.dynamic ? "by import() " : found.typeOnly ? "as a type " : "";
  return [`${path} (${layer.name}) must not import ${found.target} (${target.name}) ${how}`.trim()];
}

function complainAboutRuntime({ path, text }: Source, layer: Layer): string[] {
  if (!path.startsWith("src/") && layer.name !== "simulated engines") return [];
  const code = codeOnly(text);
  const clocks = layer.name === "real platform" ? [] : [...code.matchAll(FORBIDDEN_IN_SRC)].map((match) => match[0]);
  const isPlatform = layer.name === "platform" || layer.name === "real platform";
  const globals = isPlatform ? [] : [...code.matchAll(/\b(?:Deno|Bun)\.\w+/g)].map((match) => match[0]);
  return [...clocks, ...globals].map((name) => `${path} (${layer.name}) must not use ${name}`);
}

function layerOf(path: string): Layer | undefined {
  return LAYERS.find((layer) => layer.files.test(path));
}

function slashed(prefix: string): string {
  return /[:/]$/.test(prefix) ? prefix : `${prefix}/`;
}
