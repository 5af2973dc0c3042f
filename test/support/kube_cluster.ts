/**
 * A cluster for live tests: a stand-in for its API server, or a real one.
 *
 * `STATOR_KUBE_APISERVER` names the program `kube-apiserver`; it runs on the peers' etcd, without a kubelet or
 * controllers, whose part in making pods ready the test plays.
 *
 * @module
 */
import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { stringify } from "yaml";
import { FakeKubernetes, kubeconfig } from "./fake_kubernetes.ts";
import { DYNAMO_VERSION, PEERS } from "./peers.ts";
import { freePort, start, until } from "./processes.ts";
import type { Store } from "./store.ts";

// deno-lint-ignore no-explicit-any -- objects of a cluster are looked at, not used
type Item = any;

/** A pod that nothing runs in but what the test starts. */
export interface ClusterPod {
  readonly name: string;
  readonly uid: string;
  /** Variables of a process in it. */
  readonly env: Readonly<Record<string, string>>;
  setReady(ready: boolean): Promise<void>;
}

/** A cluster with one namespace in use, `default`. */
export interface Cluster extends AsyncDisposable {
  readonly name: string;
  /** Makes a pod that is not ready. */
  pod(name: string): Promise<ClusterPod>;
  /** The records of a worker; `null` if it has no resource. */
  records(name: string): Promise<Item | null>;
}

/** Starts the real API server if there is one, else the stand-in. */
export function startCluster(store: Store): Promise<Cluster> {
  const program = process.env.STATOR_KUBE_APISERVER;
  return program === undefined ? serveStandIn(store) : startApiServer(program, store);
}

function podEnv(name: string, uid: string, config: string): Record<string, string> {
  return {
    DYN_DISCOVERY_BACKEND: "kubernetes",
    KUBECONFIG: config,
    POD_NAME: name,
    POD_UID: uid,
    POD_NAMESPACE: "default",
  };
}

function serveStandIn(store: Store): Promise<Cluster> {
  const cluster = new FakeKubernetes();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => cluster.handle(request),
  );
  const config = join(store.path, "kubeconfig");
  writeFileSync(config, kubeconfig(`http://127.0.0.1:${server.addr.port}`));
  return Promise.resolve({
    name: "stand-in",
    pod(name) {
      const uid = crypto.randomUUID();
      cluster.setPod(name, uid, false);
      const setReady = (ready: boolean) => Promise.resolve(cluster.setPod(name, uid, ready));
      return Promise.resolve({ name, uid, env: podEnv(name, uid, config), setReady });
    },
    records: (name) => Promise.resolve(cluster.resource(name)?.spec.data ?? null),
    async [Symbol.asyncDispose]() {
      cluster.endStreams();
      await server.shutdown();
    },
  });
}

const TOKEN = "a-token-of-this-test";

/** What Dynamo's charts define, as far as an API server has a say in it. */
const DEFINITION = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "dynamoworkermetadatas.nvidia.com" },
  spec: {
    group: "nvidia.com",
    scope: "Namespaced",
    names: { kind: "DynamoWorkerMetadata", plural: "dynamoworkermetadatas", singular: "dynamoworkermetadata" },
    versions: [{
      name: "v1alpha1",
      served: true,
      storage: true,
      schema: {
        openAPIV3Schema: {
          type: "object",
          properties: {
            spec: {
              type: "object",
              required: ["data"],
              properties: { data: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
            },
          },
        },
      },
    }],
  },
};

async function startApiServer(program: string, store: Store): Promise<Cluster> {
  await using undo = new AsyncDisposableStack();
  const [client, peer, port] = [await freePort(), await freePort(), await freePort()];
  const [clientUrl, peerUrl] = [`http://127.0.0.1:${client}`, `http://127.0.0.1:${peer}`];
  undo.use(start({
    name: "etcd",
    executable: join(PEERS, `dynamo-${DYNAMO_VERSION}/bin/etcd`),
    args: [
      ...[
        "--data-dir",
        join(store.path, "etcd"),
        "--listen-client-urls",
        clientUrl,
        "--advertise-client-urls",
        clientUrl,
      ],
      ...[
        "--listen-peer-urls",
        peerUrl,
        "--initial-advertise-peer-urls",
        peerUrl,
        "--initial-cluster",
        `default=${peerUrl}`,
      ],
    ],
    env: {},
  }));
  const [tokens, key, folder] = ["tokens.csv", "account.key", "certificates"].map((name) => join(store.path, name));
  writeFileSync(tokens!, `${TOKEN},admin,1,system:masters\n`);
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  writeFileSync(key!, privateKey.export({ type: "pkcs1", format: "pem" }));
  const server = undo.use(start({
    name: "kube-apiserver",
    executable: program,
    args: [
      ...["--etcd-servers", clientUrl, "--bind-address", "127.0.0.1", "--secure-port", String(port)],
      ...["--cert-dir", folder!, "--token-auth-file", tokens!, "--authorization-mode", "RBAC"],
      ...["--service-account-issuer", "https://localhost", "--service-cluster-ip-range", "10.0.0.0/24"],
      ...["--service-account-key-file", key!, "--service-account-signing-key-file", key!],
      ...["--disable-admission-plugins", "ServiceAccount", "--endpoint-reconciler-type", "none"],
    ],
    env: {},
  }));
  const origin = `https://127.0.0.1:${port}`;
  const caFile = join(folder!, "apiserver.crt");
  await until("the API server to have a certificate", 60_000, () => readFile(caFile).then(() => true, () => false));
  const trust = undo.adopt(Deno.createHttpClient({ caCerts: [await readFile(caFile, "utf8")] }), (one) => one.close());
  const call = async (method: string, path: string, body?: Item, type = "application/json"): Promise<Item> => {
    const response = await fetch(origin + path, {
      method,
      client: trust,
      headers: { authorization: `Bearer ${TOKEN}`, "content-type": type },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = await response.json();
    if (!response.ok && response.status !== 404) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
    return response.ok ? answer : null;
  };
  await until("the API server to be ready", 60_000, async () => {
    if (await Promise.race([server.exited, undefined])) throw new Error(server.output());
    return await call("GET", "/api/v1/namespaces/default").then((found) => found !== null, () => false);
  });
  await call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", DEFINITION);
  const resources = "/apis/nvidia.com/v1alpha1/namespaces/default/dynamoworkermetadatas";
  await until("the definition to be served", 30_000, async () => await call("GET", resources) !== null);
  const config = join(store.path, "kubeconfig");
  writeFileSync(
    config,
    stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "test",
      contexts: [{ name: "test", context: { cluster: "here", user: "admin" } }],
      clusters: [{ name: "here", cluster: { server: origin, "certificate-authority": caFile } }],
      users: [{ name: "admin", user: { token: TOKEN } }],
    }),
  );
  const opened = undo.move();
  return {
    name: "kube-apiserver",
    async pod(name) {
      const labels = { "nvidia.com/dynamo-discovery-enabled": "true" };
      const containers = [{ name: "main", image: "none" }];
      const pods = "/api/v1/namespaces/default/pods";
      const pod = { apiVersion: "v1", kind: "Pod", metadata: { name, labels }, spec: { containers } };
      const { metadata: { uid } } = await call("POST", pods, pod);
      const slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
      const slice = (ready: boolean) => ({
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        addressType: "IPv4",
        metadata: { name: `slice-${name}`, labels },
        endpoints: [{
          addresses: ["10.0.0.1"],
          conditions: { ready },
          targetRef: { kind: "Pod", name, uid, namespace: "default" },
        }],
      });
      await call("POST", slices, slice(false));
      const setReady = (ready: boolean): Promise<void> =>
        call("PATCH", `${slices}/slice-${name}`, slice(ready), "application/merge-patch+json");
      return { name, uid, env: podEnv(name, uid, config), setReady };
    },
    records: async (name) => (await call("GET", `${resources}/${name}`))?.spec.data ?? null,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}
