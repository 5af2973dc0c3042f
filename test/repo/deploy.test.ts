/**
 * The container and cluster files say what the worker does: its probes, its port, its time to shut down, no root.
 *
 * `deploy/compose.yaml` and `deploy/graph.yaml` are what `stator create` writes, for Stator itself; `UPDATE_DEPLOY=1`
 * writes them again.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { COMPOSE, CONTAINERFILE, GRAPH } from "../../src/commands/create/deploy_template.ts";
import { fill } from "../../src/commands/create/project.ts";
import { VERSION } from "../../src/worker/version.ts";
import { WORKER_OPTIONS } from "../../src/worker/option_rows.ts";
import { ROOT } from "./sources.ts";

// deno-lint-ignore no-explicit-any -- documents are looked at, not used
type Document = any;

const WORDS = { name: "stator", context: "..", containerfile: "deploy/Containerfile" };
const RENDERED: Readonly<Record<string, string>> = {
  "deploy/compose.yaml": fill(COMPOSE, WORDS),
  "deploy/graph.yaml": fill(GRAPH, WORDS),
};
const IMAGES: Readonly<Record<string, string>> = {
  "deploy/Containerfile": read("deploy/Containerfile"),
  "deploy/Containerfile.deno": read("deploy/Containerfile.deno"),
  "Containerfile of a project": fill(CONTAINERFILE, WORDS),
};
const NOBODY = 65532;

for (const [path, text] of Object.entries(RENDERED)) {
  Deno.test(`${path} is that of a new project`, () => {
    if (Deno.env.get("UPDATE_DEPLOY") === "1") writeFileSync(join(ROOT, path), text);
    assert.equal(read(path), text);
  });
}

for (const [name, text] of Object.entries(IMAGES)) {
  Deno.test(`${name} has one executable, a system port and no root`, () => {
    const last = stages(text).at(-1)!;
    assert.match(last["FROM"]![0]!, /^gcr\.io\/distroless\/[\w-]+:nonroot$/, "a base without shell and root");
    assert.deepEqual(last["USER"], [`${NOBODY}:${NOBODY}`]);
    assert.equal(last["RUN"], undefined, "there is nothing to run things with");
    const [from, source, target, ...more] = last["COPY"]!.join("\n").split(/\s+/);
    assert.deepEqual([from, more], ["--from=build", []], "the executable and nothing else");
    assert.equal(last["ENTRYPOINT"]![0], JSON.stringify([target]));
    const builds = stages(text)[0]!["RUN"]!.join("\n");
    const isScript = builds.includes("bun run build") && source!.startsWith("/build/dist/");
    assert.ok(isScript || builds.includes(source!.replace("/build/", "")), "what is built is what is copied");
    assert.deepEqual([last["ENV"], last["EXPOSE"]], [["DYN_SYSTEM_PORT=9090"], ["9090"]]);
    for (const image of text.match(/^FROM \S+/gm)!) assert.match(image, /:[\w.-]+$/, "images have a tag");
  });
}

Deno.test("the runtimes that build images are those Stator is tested with", () => {
  const [, deno, bun] = /^\| runtimes +\| Deno (\S+), Bun (\S+)/m.exec(read("README.md"))!;
  assert.ok(IMAGES["deploy/Containerfile"]!.includes(`oven/bun:${bun}.`));
  assert.ok(IMAGES["deploy/Containerfile.deno"]!.includes(`denoland/deno:${deno}.`));
});

Deno.test("compose.yaml: one etcd, one NATS, time to shut down, no option that Stator does not know", () => {
  const [compose] = documents("deploy/compose.yaml");
  const { frontend, worker } = compose.services;
  for (const service of [frontend, worker]) {
    const { DYN_DISCOVERY_BACKEND, ETCD_ENDPOINTS, DYN_EVENT_PLANE, NATS_SERVER } = service.environment;
    assert.deepEqual([DYN_DISCOVERY_BACKEND, DYN_EVENT_PLANE], ["etcd", "nats"]);
    assert.deepEqual([ETCD_ENDPOINTS, NATS_SERVER].map((url) => new URL(url).hostname), service.depends_on);
  }
  assert.deepEqual(Object.keys(compose.services), ["etcd", "nats", "frontend", "worker"]);
  assert.equal(frontend.image.split(":")[1], VERSION.dynamo);
  assert.ok(seconds(worker.stop_grace_period) > shutdownSeconds({}));
  assert.deepEqual(unknownOptions(Object.entries(worker.environment)), []);
});

Deno.test("graph.yaml: a deployment of Dynamo with a frontend and workers, whose discovery is the operator's to say", () => {
  const [graph, ...others] = documents("deploy/graph.yaml");
  assert.deepEqual(others, []);
  assert.deepEqual([graph.apiVersion, graph.kind], ["nvidia.com/v1beta1", "DynamoGraphDeployment"]);
  assert.deepEqual(graph.spec.components.map((one: Document) => one.type), ["frontend", "worker"]);
  for (const { podTemplate: { spec } } of graph.spec.components) {
    const [main] = spec.containers;
    assert.equal(main.name, "main", "the operator looks for this name");
    assert.equal(variables(main).DYN_DISCOVERY_BACKEND, undefined);
  }
  const { runAsNonRoot, runAsUser } = graph.spec.components[1].podTemplate.spec.securityContext;
  assert.deepEqual([runAsNonRoot, runAsUser], [true, NOBODY]);
  assert.ok(graph.spec.components[0].podTemplate.spec.containers[0].image.endsWith(`:${VERSION.dynamo}`));
});

Deno.test("graph.yaml: probes, port, shutdown and rights of a worker are those of the program", () => {
  const { spec } = documents("deploy/graph.yaml")[0].spec.components[1].podTemplate;
  const [main] = spec.containers;
  const env = variables(main);
  assert.deepEqual(unknownOptions(Object.entries(env)), []);
  const [port] = main.ports;
  assert.equal(String(port.containerPort), env.DYN_SYSTEM_PORT);
  const probes = [main.startupProbe, main.livenessProbe, main.readinessProbe].map((probe) => probe.httpGet);
  const [health, live] = [defaultOf("DYN_SYSTEM_HEALTH_PATH"), defaultOf("DYN_SYSTEM_LIVE_PATH")];
  assert.deepEqual(probes.map(({ path }) => path), [health, live, health]);
  assert.deepEqual(probes.map((probe) => probe.port), [port.name, port.name, port.name]);
  assert.ok(spec.terminationGracePeriodSeconds > shutdownSeconds(env));
  assert.ok(main.resources.requests.cpu && main.resources.requests.memory && main.resources.limits.memory);
  const { allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities } = main.securityContext;
  assert.deepEqual([allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities.drop], [false, true, ["ALL"]]);
});

Deno.test("documents() refuses YAML that is none", () => {
  assert.throws(() => parse("a: [1"));
});

/** The documents of one of the files, with anchors resolved. */
function documents(path: string): Document[] {
  return parse(read(path));
}

function parse(text: string): Document[] {
  return parseAllDocuments(text, { merge: true }).map((document: Document) => {
    assert.deepEqual([...document.errors, ...document.warnings].map(String), [], text);
    return document.toJS();
  });
}

/** Arguments of instructions by name, stage by stage. */
function stages(text: string): Record<string, string[] | undefined>[] {
  return text.split(/^(?=FROM )/m).filter((part) => part.startsWith("FROM ")).map((part) =>
    Object.groupBy(
      part.split("\n").filter((line) => /^[A-Z]+ /.test(line)),
      (line) => line.slice(0, line.indexOf(" ")),
    )
  ).map((stage) =>
    Object.fromEntries(
      Object.entries(stage).map(([name, lines]) => [name, lines!.map((line) => line.slice(name.length + 1))]),
    )
  );
}

function variables(container: Document): Record<string, string> {
  return Object.fromEntries(container.env.map(({ name, value }: { name: string; value: unknown }) => {
    assert.equal(typeof value, "string", `${name} is text, as Kubernetes wants`);
    return [name, value];
  }));
}

/** How long a shutdown may take, with the values of an environment. */
function shutdownSeconds(env: Readonly<Record<string, string>>): number {
  const names = ["DYN_WORKER_GRACEFUL_SHUTDOWN_TIMEOUT", "DYN_GRACEFUL_SHUTDOWN_GRACE_PERIOD_SECS"];
  return names.map((name) => Number(env[name] ?? defaultOf(name))).reduce((sum, value) => sum + value);
}

function defaultOf(variable: string): unknown {
  return WORKER_OPTIONS.find((row) => row.env === variable)?.default;
}

/** Variables that the worker does not read, or not with such a value. */
function unknownOptions(env: readonly (readonly [string, unknown])[]): string[] {
  return env.filter(([name, value]) => {
    const row = WORKER_OPTIONS.find((one) => one.env === name);
    return row === undefined || (row.choices !== undefined && !row.choices.includes(String(value)));
  }).map(([name]) => name);
}

function seconds(duration: string): number {
  return Number(/^(\d+)s$/.exec(duration)![1]);
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}
