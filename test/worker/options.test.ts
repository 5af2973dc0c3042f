import assert from "node:assert/strict";
import { test } from "node:test";
import type { OptionRow } from "../../src/engine/option.ts";
import {
  closest,
  deprecations,
  formatHelp,
  formatTable,
  parseFlags,
  resolveRows,
  UsageError,
} from "../../src/worker/command_line.ts";
import { WORKER_OPTIONS } from "../../src/worker/option_rows.ts";
import { resolveOptions } from "../../src/worker/resolve_options.ts";

const usage = (pattern: RegExp) => (error: unknown) => error instanceof UsageError && pattern.test(error.message);

test("a flag beats code, code beats the environment, the environment beats an engine's default and that the row's", () => {
  const env = { DYN_COMPONENT: "from-env" };
  const defaults = { component: "from-engine" };
  const given = { component: "from-code", ...parseFlags(WORKER_OPTIONS, ["--component", "from-flag"]) };
  assert.equal(resolveOptions(given, env, defaults).component, "from-flag");
  assert.equal(resolveOptions({ component: "from-code" }, env, defaults).component, "from-code");
  assert.equal(resolveOptions({}, env, defaults).component, "from-env");
  assert.equal(resolveOptions({}, {}, defaults).component, "from-engine");
  assert.equal(resolveOptions({}, {}).component, "backend");
});

test("the defaults are Dynamo's", () => {
  const options = resolveOptions({}, {});
  assert.deepEqual(
    [
      options.namespace,
      options.endpoint,
      options.requestPlaneCodec,
      options.maxMessageBytes,
      options.requestQueueLimit,
    ],
    ["dynamo", "generate", "msgpack", 33_554_432, 16],
  );
  assert.deepEqual([options.workerPoolSize, options.workQueueSize, options.engineRequestLimit], [
    10_000,
    40_000,
    undefined,
  ]);
  assert.deepEqual([options.shutdownTimeoutSeconds, options.connectTimeoutSeconds], [30, 5]);
});

test("the grace is 5 s, but 0 with mem unless it is set; negative counts as 0", () => {
  const name = "DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS";
  assert.equal(resolveOptions({ discoveryBackend: "file" }, {}).graceSeconds, 5);
  assert.equal(resolveOptions({}, {}).graceSeconds, 0);
  assert.equal(resolveOptions({}, { [name]: "1.5" }).graceSeconds, 1.5);
  assert.equal(resolveOptions({ graceSeconds: 2 }, {}).graceSeconds, 2);
  assert.equal(resolveOptions({ discoveryBackend: "file" }, { [name]: "-3" }).graceSeconds, 0);
  assert.equal(resolveOptions({ discoveryBackend: "file" }, { [name]: "" }).graceSeconds, 5);
});

test("a blocked worker may only end after it has left discovery", () => {
  const resolve = (backend: string, seconds: string) =>
    resolveOptions({ discoveryBackend: backend }, { STATOR_BLOCKED_EXIT_SECS: seconds }).blockedExitSeconds;
  assert.equal(resolveOptions({ discoveryBackend: "file" }, {}).blockedExitSeconds, 60);
  assert.deepEqual([resolve("file", "0"), resolve("file", "10.5"), resolve("mem", "0.5")], [0, 10.5, 0.5]);
  const etcd = (env: Record<string, string>) => resolveOptions({ discoveryBackend: "etcd" }, env).blockedExitSeconds;
  assert.deepEqual([etcd({}), etcd({ ETCD_LEASE_TTL: "60" }), etcd({ ETCD_LEASE_TTL: "0" })], [60, 120, 60]);
  assert.throws(() => resolve("etcd", "30"), usage(/30 is neither 0 nor more than 30, .* records of etcd discovery/));
  assert.throws(() => resolve("file", "10"), usage(/^STATOR_BLOCKED_EXIT_SECS: 10 is neither 0 nor more than 10, /));
});

test("a whole endpoint stands for namespace, component and endpoint", () => {
  const env = { DYN_NAMESPACE_WORKER_SUFFIX: "blue" };
  const { namespace, component, endpoint } = resolveOptions({ endpoint: "dyn://prod.backend.generate" }, env);
  assert.deepEqual([namespace, component, endpoint], ["prod", "backend", "generate"]);
  for (const wrong of ["dyn://a.b", "dyn://a.b.c.d", "dyn://a..c", "dyn://"]) {
    assert.throws(() => resolveOptions({ endpoint: wrong }, {}), usage(/is not dyn:\/\/<namespace>/), wrong);
  }
});

test("the namespace suffix is appended once", () => {
  const env = { DYN_NAMESPACE: "prod", DYN_NAMESPACE_WORKER_SUFFIX: "blue" };
  assert.equal(resolveOptions({}, env).namespace, "prod-blue");
});

for (
  const [word, value] of [
    ["1", true],
    ["TRUE", true],
    ["on", true],
    [" yes ", true],
    ["0", false],
    ["False", false],
    ["off", false],
    ["no", false],
    ["", false],
  ] as const
) {
  test(`${JSON.stringify(word)} in the environment is ${value}`, () => {
    const env = { DYN_SELF_HOST_METADATA: word, DYN_ROUTE_TO_ENCODER: word };
    assert.deepEqual(
      [resolveOptions({}, env).selfHostMetadata, resolveOptions({}, env).routeToEncoder],
      [value, value],
    );
  });
}

test("a word that is no boolean is bad usage", () => {
  assert.throws(() => resolveOptions({}, { DYN_ROUTE_TO_ENCODER: "maybe" }), usage(/DYN_ROUTE_TO_ENCODER.*maybe/));
});

test("a number in the environment that is none counts as unset, with a warning", () => {
  for (const text of ["ten", "1e", "NaN", "Infinity", "12s"]) {
    const warnings: string[] = [];
    const env = { DYN_WORKER_GRACEFUL_SHUTDOWN_TIMEOUT: text };
    const values = resolveRows(WORKER_OPTIONS, {}, env, {}, (line) => warnings.push(line));
    assert.equal(values.shutdownTimeoutSeconds, 30, text);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /DYN_WORKER_GRACEFUL_SHUTDOWN_TIMEOUT.*using the default/);
  }
  const fraction = resolveRows(WORKER_OPTIONS, {}, { DYN_WORKER_GRACEFUL_SHUTDOWN_TIMEOUT: "2.5" });
  assert.equal(fraction.shutdownTimeoutSeconds, 30);
});

test("a number out of range in the environment counts as unset too, on the command line it is bad usage", () => {
  assert.equal(resolveRows(WORKER_OPTIONS, {}, { DYN_TCP_RPC_PORT: "70000" }).tcpRpcPort, 0);
  assert.throws(() => parseFlags(WORKER_OPTIONS, ["--gateway-port", "70000"]), usage(/--gateway-port.*0 to 65535/));
  assert.throws(() => parseFlags(WORKER_OPTIONS, ["--engine-request-limit=0"]), usage(/at least 1/));
  assert.throws(() => parseFlags(WORKER_OPTIONS, ["--engine-request-limit", "ten"]), usage(/whole number/));
});

test("choices are told, with a guess, and taken in any case", () => {
  assert.equal(parseFlags(WORKER_OPTIONS, ["--request-plane", "TCP"]).requestPlane, "tcp");
  assert.throws(
    () => parseFlags(WORKER_OPTIONS, ["--discovery-backend", "fiel"]),
    usage(/--discovery-backend: "fiel" is not one of .*file.*did you mean file\?/),
  );
  assert.throws(() => resolveOptions({}, { DYN_REQUEST_PLANE: "udp" }), usage(/DYN_REQUEST_PLANE.*udp.*tcp/));
});

test("an unknown option is told, with a guess when one is near", () => {
  assert.throws(
    () => parseFlags(WORKER_OPTIONS, ["--modle-name", "x"]),
    usage(/--modle-name; did you mean --model-name\?$/),
  );
  assert.throws(() => parseFlags(WORKER_OPTIONS, ["--completely-different"]), usage(/--completely-different$/));
  assert.throws(() => parseFlags(WORKER_OPTIONS, ["stray"]), usage(/unexpected argument "stray"/));
  assert.throws(() => parseFlags(WORKER_OPTIONS, ["-x"]), usage(/"-x"/));
});

test("an option without its value is bad usage", () => {
  assert.throws(() => parseFlags(WORKER_OPTIONS, ["--namespace"]), usage(/--namespace needs a value/));
});

test("flags take their value behind a space or an equals sign; the last one wins", () => {
  assert.deepEqual(parseFlags(WORKER_OPTIONS, ["--namespace", "a", "--component=b=c", "--namespace=d"]), {
    namespace: "d",
    component: "b=c",
  });
});

test("boolean flags: alone, with --no-, with a word or an equals sign", () => {
  const parse = (...argv: string[]) => parseFlags(WORKER_OPTIONS, argv);
  assert.deepEqual(parse("--gateway"), { gateway: true });
  assert.deepEqual(parse("--no-gateway"), { gateway: false });
  assert.deepEqual(parse("--exclude-tools-when-tool-choice-none", "false", "--gateway"), {
    excludeToolsWhenToolChoiceNone: false,
    gateway: true,
  });
  assert.deepEqual(parse("--route-to-encoder=off"), { routeToEncoder: false });
  assert.throws(() => parse("--no-namespace"), UsageError);
});

test("every row is sound: unique key, flag and variable, a flag or a variable, a default of its type", () => {
  for (const name of ["key", "flag", "env"] as const) {
    const names = WORKER_OPTIONS.flatMap((row) => row[name] ?? []);
    assert.deepEqual(names, [...new Set(names)]);
  }
  for (const row of WORKER_OPTIONS) {
    assert.ok(row.flag !== undefined || row.env !== undefined, row.key);
    assert.ok(row.help.length > 0 && !row.help.endsWith("."), row.key);
    const type = row.type === "integer" ? "number" : row.type;
    assert.ok(row.default === undefined || typeof row.default === type, row.key);
    assert.ok(
      row.choices === undefined || row.default === undefined || row.choices.includes(String(row.default)),
      row.key,
    );
    assert.match(row.env ?? "DYN_X", /^(DYN|STATOR|OTEL|NATS|ETCD)_[A-Z0-9_]+$/);
  }
});

test("every row with a default has it after resolveOptions()", () => {
  const options = resolveOptions({}, {}) as unknown as Record<string, unknown>;
  for (const row of WORKER_OPTIONS) {
    if (row.default !== undefined) assert.notEqual(options[row.key], undefined, row.key);
  }
});

test("help shows every row once, with flag, variable, default and an engine's own default", () => {
  const help = formatHelp(WORKER_OPTIONS, { component: "sample" });
  for (const row of WORKER_OPTIONS) {
    const name = row.flag === undefined ? row.env! : `--${row.flag}`;
    const lines = help.split("\n").filter((line) => line.trimStart().split(" ")[0] === name);
    assert.equal(lines.length, 1, name);
    assert.ok(lines[0]!.includes(row.help) && lines[0]!.includes(row.env ?? ""), name);
    if (row.default !== undefined && row.key !== "component") {
      assert.ok(lines[0]!.includes(`default ${row.default}`), name);
    }
  }
  assert.match(help, /--component.*default sample/);
  for (const group of new Set(WORKER_OPTIONS.map((row) => row.group))) assert.ok(help.includes(`${group}:\n`), group);
});

test("the table shows every row once, with its cells", () => {
  const lines = formatTable(WORKER_OPTIONS).split("\n");
  assert.equal(lines.length, WORKER_OPTIONS.length + 2);
  for (const [i, row] of WORKER_OPTIONS.entries()) {
    const line = lines[i + 2]!;
    for (const cell of [row.flag && `\`--${row.flag}\``, row.env && `\`${row.env}\``]) {
      assert.ok(line.includes(cell ?? ""));
    }
    assert.equal(line.replaceAll("\\|", "").split("|").length, 6, line);
  }
});

test("closest() guesses only what is close", () => {
  assert.equal(closest("sampel", ["sample", "mocker"]), "; did you mean sample?");
  assert.equal(closest("zzz", ["sample", "mocker"]), "");
  assert.equal(closest("x", []), "");
});

test("rows of an engine are parsed like the common ones", () => {
  const rows: OptionRow[] = [{
    key: "delay",
    flag: "delay",
    type: "number",
    default: 0.01,
    min: 0,
    group: "Sample",
    help: "x",
  }];
  assert.deepEqual(resolveRows(rows, parseFlags(rows, ["--delay", "0"]), {}), { delay: 0 });
  assert.throws(() => parseFlags(rows, ["--delay=-1"]), usage(/at least 0/));
});

test("an option may have older spellings, of which a command line keeps to one", () => {
  const rows: OptionRow[] = [
    { key: "seed", flag: "ais-seed", aliases: ["aic-seed"], type: "integer", group: "Test", help: "x" },
    { key: "old", flag: "old", type: "boolean", group: "Test", help: "y", deprecated: "--new" },
  ];
  assert.deepEqual(parseFlags(rows, ["--aic-seed", "5", "--aic-seed=6"]), { seed: 6 });
  assert.throws(
    () => parseFlags(rows, ["--aic-seed=5", "--ais-seed=5"]),
    usage(/--aic-seed and --ais-seed are one option; give only --ais-seed/),
  );
  const help = formatHelp(rows);
  assert.match(help, /--ais-seed.*also --aic-seed/);
  assert.match(help, /--old.*deprecated: give --new/);
  assert.deepEqual(deprecations(rows, { old: false }), ["--old is deprecated; give --new"]);
  assert.deepEqual(deprecations(rows, { seed: 1 }), []);
});
