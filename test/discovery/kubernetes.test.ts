import assert from "node:assert/strict";
import { test } from "node:test";
import type { Discovery, DiscoveryEvent } from "../../src/discovery/discovery.ts";
import { openKubernetesDiscovery } from "../../src/discovery/kubernetes.ts";
import { instanceIdOf } from "../../src/discovery/kubernetes_pod.ts";
import { SILENT } from "../../src/observe/log.ts";
import { parseJson, stringifyJson } from "../../src/protocol/payload.ts";
import type { DiscoveryKey } from "../../src/protocol/record.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { FakeHttpClients, FakeKubernetes, kubeconfig, mounted, status } from "../support/fake_kubernetes.ts";
import { goldenText } from "../support/golden.ts";

const ENDPOINT: DiscoveryKey = { bucket: "v1/instances", path: "dynamo/sample/generate/1" };
const CARD: DiscoveryKey = { bucket: "v1/mdc", path: "dynamo/sample/generate/1" };
const POD = { POD_NAME: "worker-0", POD_UID: "uid-123", POD_NAMESPACE: "ns1", KUBECONFIG: "/config" };

/** A cluster, and the clients and the clock of one worker in it. */
class Rig {
  readonly cluster = new FakeKubernetes("ns1");
  readonly clock = new FakeClock();
  readonly httpClients = new FakeHttpClients((request) => this.cluster.handle(request));
  readonly warnings: string[] = [];

  open(env: Readonly<Record<string, string>> = {}, files: Readonly<Record<string, string>> = {}): Promise<Discovery> {
    return openKubernetesDiscovery({
      env: { ...POD, ...env },
      files: mounted({ "/config": kubeconfig("http://cluster"), ...files }),
      httpClients: this.httpClients,
      clock: this.clock,
      log: { ...SILENT, warn: (message) => void this.warnings.push(message) },
    });
  }

  /** Lets time pass until something holds. */
  async until(holds: () => boolean): Promise<void> {
    for (let step = 0; !holds(); step++) {
      assert.ok(step < 500, "it never came true");
      await this.clock.advance(step % 10 === 0 ? 250 : 0);
    }
  }
}

for (const { name, instance_id } of JSON.parse(goldenText("discovery/k8s-instance-id.json"))) {
  test(`the instance id of ${name} is that of a stock worker`, () => {
    assert.equal(instanceIdOf(name), BigInt(instance_id));
  });
}

test("the resource of a worker is that of a stock one", async () => {
  const golden = parseJson(goldenText("discovery/k8s-cr.json")) as Record<string, unknown>;
  const maps = (golden.spec as { data: Record<string, Record<string, object>> }).data;
  const rig = new Rig();
  await using discovery = await rig.open();
  const buckets = {
    endpoints: "v1/instances",
    model_cards: "v1/mdc",
    event_channels: "v1/event_channels",
    event_sources: "v1/event_sources",
  } as const;
  for (const [map, bucket] of Object.entries(buckets)) {
    for (const [path, record] of Object.entries(maps[map]!)) {
      const { namespace, component, ...channel } = record as Record<string, unknown>;
      const isChannel = map === "event_channels";
      assert.ok(!isChannel || (namespace !== undefined && component !== undefined), "older readers look for them");
      await discovery.put({ bucket, path }, stringifyJson(isChannel ? channel : record));
    }
  }
  const last = rig.cluster.requests.at(-1)!;
  assert.deepEqual(parseJson(last.body), golden);
  const seen = goldenText("discovery/k8s-requests.jsonl").split("\n").filter((line) => line.includes('"PATCH"'))
    .map((line) => JSON.parse(line));
  // Rust's client puts a spare & in front.
  assert.equal(last.path + last.query, seen[0].path.replace("?&", "?"));
  assert.equal(last.headers.get("content-type"), seen[0].content_type);
  assert.equal(last.method, "PATCH");
});

test("each change is one request with everything that is left; nothing is left at the end", async () => {
  const rig = new Rig();
  const discovery = await rig.open();
  await Promise.all([discovery.put(CARD, '{"a":1}'), discovery.put(ENDPOINT, '{"b":18446744073709551615}')]);
  await discovery.delete(ENDPOINT);
  const maps = (): unknown[] =>
    rig.cluster.requests.map(({ body }) => {
      const { endpoints, model_cards } = (parseJson(body) as { spec: { data: Record<string, object> } }).spec.data;
      return [endpoints, model_cards];
    });
  const card = { [CARD.path]: { a: 1 } };
  const endpoint = { [ENDPOINT.path]: { b: 18446744073709551615n } };
  assert.deepEqual(maps(), [[{}, card], [endpoint, card], [{}, card]]);
  assert.equal(
    discovery.metadata!(),
    `{"endpoints":{},"model_cards":{"${CARD.path}":{"a":1}},"event_channels":{},"event_sources":{}}`,
  );
  await discovery[Symbol.asyncDispose]();
  assert.deepEqual(maps().at(-1), [{}, {}]);
  assert.equal(rig.httpClients.openCount, 0);
});

test("a change that is refused has not happened, and says what to do", async () => {
  const rig = new Rig();
  await using discovery = await rig.open();
  rig.cluster.failures.push(() => status(403, 'User "system:serviceaccount:ns1:default" cannot patch resource'));
  await assert.rejects(discovery.put(CARD, "{}"), {
    message: "Kubernetes refuses PATCH /apis/nvidia.com/v1alpha1/namespaces/ns1/dynamoworkermetadatas/worker-0: 403, " +
      'User "system:serviceaccount:ns1:default" cannot patch resource (the service account needs a role that allows it)',
  });
  rig.cluster.failures.push(() => status(404, "the server could not find the requested resource"));
  await assert.rejects(discovery.put(CARD, "{}"), /are Dynamo's custom resource definitions installed\?/);
  await discovery.put(ENDPOINT, "{}");
  assert.deepEqual(Object.keys(rig.cluster.resource("worker-0").spec.data.model_cards), []);
});

test("a server that has too much to do, or does not answer, is asked again for 10 s", async () => {
  const rig = new Rig();
  await using discovery = await rig.open();
  rig.cluster.failures.push(() => status(429, "slow down"), () => status(503, "starting"), () => {
    throw new TypeError("connection refused");
  });
  const done = discovery.put(CARD, "{}");
  await rig.clock.advance(5000);
  await done;
  for (let i = 0; i < 20; i++) rig.cluster.failures.push(() => new Promise<Response>(() => {}));
  const lost = assert.rejects(
    discovery.put(ENDPOINT, "{}"),
    /No answer from Kubernetes .* at http:\/\/cluster: no answer within 10 s/,
  );
  await rig.clock.advance(30_000);
  await lost;
  rig.cluster.failures.length = 0;
});

test("records count while their pod is ready, and only those of this pod", async () => {
  const rig = new Rig();
  await using discovery = await rig.open();
  await using other = await rig.open({ POD_NAME: "worker-1", POD_UID: "uid-1" });
  const seen: string[] = [];
  const note = (event: DiscoveryEvent): void => void seen.push(`${event.kind} ${event.key.path}`);
  await using _watch = await other.watch("v1/instances", note);
  await discovery.put(ENDPOINT, "{}");
  await rig.clock.advance(0);
  assert.deepEqual(seen, [], "the pod is not there");
  rig.cluster.setPod("worker-0", "uid-123", false);
  await rig.clock.advance(0);
  assert.deepEqual(seen, [], "nor ready");
  rig.cluster.setPod("worker-0", "uid-123", true);
  await rig.until(() => seen.length === 1);
  rig.cluster.setPod("worker-0", "uid-124", true);
  await rig.until(() => seen.length === 2);
  assert.deepEqual(seen, [`put ${ENDPOINT.path}`, `delete ${ENDPOINT.path}`], "a new pod of the old name");
});

test("a watch outlives ends and breaks of its streams, and forgotten versions", async () => {
  const rig = new Rig();
  await using discovery = await rig.open();
  rig.cluster.setPod("worker-0", "uid-123", true);
  const seen = new Map<string, string>();
  await using _watch = await discovery.watch("v1/instances", (event) => {
    if (event.kind === "put") seen.set(event.key.path, event.value);
    else seen.delete(event.key.path);
  });
  await discovery.put(ENDPOINT, '"1"');
  await rig.until(() => seen.get(ENDPOINT.path) === '"1"');
  rig.cluster.endStreams();
  await discovery.put(ENDPOINT, '"2"');
  await rig.until(() => seen.get(ENDPOINT.path) === '"2"');
  assert.deepEqual(rig.warnings, [], "an end is no break");
  rig.cluster.oldest = 1000;
  rig.cluster.endStreams();
  await discovery.delete(ENDPOINT);
  await rig.until(() => seen.size === 0);
  rig.cluster.oldest = 0;
  await rig.until(() => rig.cluster.streams === 2);
  for (let i = 0; i < 6; i++) rig.cluster.failures.push(() => new Response("<html>", { status: 502 }));
  rig.cluster.endStreams();
  await rig.until(() => rig.cluster.failures.length === 0);
  await discovery.put(ENDPOINT, '"3"');
  await rig.until(() => seen.get(ENDPOINT.path) === '"3"');
  assert.deepEqual(new Set(rig.warnings), new Set(["Kubernetes watch broke off, it is tried again"]));
  assert.ok(rig.warnings.length <= 2, "once a stream");
});

test("long lists come in pages", async () => {
  const rig = new Rig();
  for (let i = 0; i < 1100; i++) rig.cluster.setPod(`worker-${i}`, `uid-${i}`, true);
  await using discovery = await rig.open({ POD_NAME: "worker-1099", POD_UID: "uid-1099" });
  await discovery.put(ENDPOINT, "{}");
  assert.deepEqual(await discovery.list("v1/instances"), [{ key: ENDPOINT, value: "{}" }]);
  assert.equal(rig.cluster.requests.filter(({ query }) => query.includes("continue=")).length, 2);
});

test("by container, each has a resource of its own, and what it left behind is removed first", async () => {
  const rig = new Rig();
  const env = { DYN_KUBE_DISCOVERY_MODE: "container", CONTAINER_NAME: "engine-0" };
  await using discovery = await rig.open(env);
  await discovery.put(ENDPOINT, "{}");
  assert.equal(rig.cluster.resource("worker-0-engine-0").metadata.ownerReferences[0].controller, false);
  assert.equal(discovery.instanceId, instanceIdOf("worker-0-engine-0"));
  rig.cluster.setPod("worker-0", "uid-123", true, ["engine-0", "main"]);
  assert.equal((await discovery.list("v1/instances")).length, 1);
  await using again = await rig.open(env);
  assert.equal(rig.cluster.resource("worker-0-engine-0"), undefined);
  assert.equal(again.instanceId, discovery.instanceId);
  rig.cluster.failures.push(() => status(403, "no"));
  await assert.rejects(rig.open(env), /refuses DELETE .*worker-0-engine-0: 403/);
  await using main = await rig.open({ ...env, CONTAINER_NAME: "main" });
  assert.equal(main.instanceId, instanceIdOf("worker-0"));
});

test("who and where this pod is comes from mounted files first", async () => {
  const rig = new Rig();
  const files = { "/etc/podinfo/pod_name": "worker-7\n", "/etc/podinfo/pod_uid": "uid-7" };
  await using discovery = await rig.open({}, files);
  assert.equal(discovery.instanceId, instanceIdOf("worker-7"));
  await discovery.put(ENDPOINT, "{}");
  assert.equal(rig.cluster.resource("worker-7").metadata.ownerReferences[0].uid, "uid-7");
});

test("a pod that is not named is told how to name it", async () => {
  const rig = new Rig();
  await assert.rejects(rig.open({ POD_UID: "" }), /needs POD_UID: set it from the field metadata.uid of the pod/);
  await assert.rejects(
    rig.open({ DYN_KUBE_DISCOVERY_MODE: "node" }),
    /DYN_KUBE_DISCOVERY_MODE is pod or container, not "node"/,
  );
  await assert.rejects(rig.open({ DYN_KUBE_DISCOVERY_MODE: "container" }), /needs CONTAINER_NAME/);
  await assert.rejects(rig.open({ KUBECONFIG: "" }), /finds no cluster: this is no pod/);
});

test("a pod signs in with its service account, whose token may change", async () => {
  const rig = new Rig();
  const folder = "/var/run/secrets/kubernetes.io/serviceaccount";
  const files: Record<string, string> = { [`${folder}/ca.crt`]: "a PEM", [`${folder}/token`]: "first\n" };
  const env = { ...POD, KUBECONFIG: "", KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "6443" };
  const { httpClients, clock } = rig;
  await using discovery = await openKubernetesDiscovery({
    env,
    files: mounted(files),
    httpClients,
    clock,
    log: SILENT,
  });
  assert.deepEqual(httpClients.opened, [{ ca: "a PEM" }]);
  await discovery.put(CARD, "{}");
  files[`${folder}/token`] = "second";
  await discovery.put(ENDPOINT, "{}");
  assert.deepEqual(rig.cluster.requests.map(({ headers }) => headers.get("authorization")), [
    "Bearer first",
    "Bearer second",
  ]);
});

test("a configuration brings certificates and tokens, also by path", async () => {
  const rig = new Rig();
  const config = JSON.stringify({
    "current-context": "c",
    contexts: [{ name: "c", context: { cluster: "k", user: "u" } }],
    clusters: [{ name: "k", cluster: { server: "https://host:6443/", "certificate-authority": "ca.pem" } }],
    users: [{
      name: "u",
      user: { "client-certificate-data": btoa("cert"), "client-key": "/keys/key.pem", token: "t" },
    }],
  });
  await using discovery = await rig.open({ KUBECONFIG: "/etc/k/config" }, {
    "/etc/k/config": config,
    "/etc/k/ca.pem": "ca",
    "/keys/key.pem": "key",
  });
  assert.deepEqual(rig.httpClients.opened, [{ ca: "ca", cert: "cert", key: "key" }]);
  await discovery.put(CARD, "{}");
  assert.equal(rig.cluster.requests[0]!.headers.get("authorization"), "Bearer t");
  const refused: readonly (readonly [string, RegExp])[] = [
    ["a: [", /\/etc\/k\/config is no YAML/],
    [config.replace('"c"', '"d"'), /contexts has no entry "d"/],
    [config.replace('"token":"t"', '"exec":{}'), /users that sign in with "exec" are not supported/],
    [config.replace('"server"', '"serve"'), /the cluster has no server/],
    [config.replace("/keys/key.pem", "/keys/none.pem"), /Cannot read \/keys\/none.pem/],
  ];
  for (const [text, message] of refused) {
    const files = { "/etc/k/config": text, "/etc/k/ca.pem": "ca", "/keys/key.pem": "key" };
    await assert.rejects(rig.open({ KUBECONFIG: "/etc/k/config" }, files), message);
  }
});
