/**
 * Where the API server of a cluster is, and with what a client shows itself there.
 *
 * @module
 */
import type { Files, TlsMaterial } from "../platform/platform.ts";
import { invalidArgument } from "../protocol/error.ts";
import { object } from "./kubernetes_resource.ts";

/** A way to an API server. */
export interface KubernetesServer {
  /** Such as `https://10.96.0.1:443`, without a slash at its end. */
  readonly origin: string;
  /** Whom to trust, and who we are. */
  readonly tls: TlsMaterial;
  /** The bearer token; `null` if there is none. Read for each request, since the cluster renews it in its file. */
  token(): Promise<string | null>;
}

/** What it is read from. */
export interface KubernetesConfigParts {
  /** Environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Files. */
  readonly files: Pick<Files, "read">;
}

/** Where a pod finds its service account. */
const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * The file that `KUBECONFIG` names, else `~/.kube/config`, else the service account of the pod.
 *
 * @throws {DynamoError} `InvalidArgument` if there is none of them, or it cannot be used.
 */
export async function readKubernetesServer(parts: KubernetesConfigParts): Promise<KubernetesServer> {
  const { env, files } = parts;
  const named = env.KUBECONFIG ?? "";
  if (named !== "") return await readKubeconfig(named, parts);
  const home = `${env.HOME ?? ""}/.kube/config`;
  if (env.HOME && await files.read(home).then(() => true, () => false)) return await readKubeconfig(home, parts);
  if (env.KUBERNETES_SERVICE_HOST) return await readAccount(env.KUBERNETES_SERVICE_HOST, parts);
  throw invalidArgument(
    "kubernetes discovery finds no cluster: this is no pod (KUBERNETES_SERVICE_HOST is not set), KUBECONFIG is not " +
      "set, and there is no ~/.kube/config",
  );
}

async function readAccount(host: string, { env, files }: KubernetesConfigParts): Promise<KubernetesServer> {
  const ca = await readText(files, `${ACCOUNT}/ca.crt`);
  const port = env.KUBERNETES_SERVICE_PORT || "443";
  return {
    origin: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    tls: { ca },
    token: () => readText(files, `${ACCOUNT}/token`).then((text) => text.trim()),
  };
}

async function readKubeconfig(path: string, { files }: KubernetesConfigParts): Promise<KubernetesServer> {
  const text = await readText(files, path);
  const { parse } = await import("yaml");
  let config: Record<string, unknown>;
  try {
    config = object(parse(text));
  } catch (error) {
    throw invalidArgument(`${path} is no YAML: ${(error as Error).message.split("\n")[0]}`);
  }
  const find = (list: string, member: string, name: unknown): Record<string, unknown> => {
    const entries = Array.isArray(config[list]) ? config[list].map(object) : [];
    const entry = entries.find((one) => one.name === name);
    if (entry === undefined) throw invalidArgument(`${path}: ${list} has no entry ${JSON.stringify(name ?? null)}`);
    return object(entry[member]);
  };
  const context = find("contexts", "context", config["current-context"]);
  const cluster = find("clusters", "cluster", context.cluster);
  const user = context.user === undefined ? {} : find("users", "user", context.user);
  for (const way of ["exec", "auth-provider", "username"]) {
    if (user[way] !== undefined) {
      throw invalidArgument(
        `${path}: users that sign in with "${way}" are not supported; use a token or a certificate`,
      );
    }
  }
  if (cluster["insecure-skip-tls-verify"] === true) {
    throw invalidArgument(`${path}: insecure-skip-tls-verify is not supported; name the certificate-authority`);
  }
  const folder = path.replace(/[^/]*$/, "");
  const pem = async (from: Record<string, unknown>, field: string): Promise<string | undefined> => {
    const data = from[`${field}-data`];
    if (typeof data === "string") return new TextDecoder().decode(Uint8Array.from(atob(data), (c) => c.charCodeAt(0)));
    return typeof from[field] === "string" ? await readText(files, resolve(folder, from[field])) : undefined;
  };
  const tls = {
    ca: await pem(cluster, "certificate-authority"),
    cert: await pem(user, "client-certificate"),
    key: await pem(user, "client-key"),
  };
  if (typeof cluster.server !== "string") throw invalidArgument(`${path}: the cluster has no server`);
  const { token, tokenFile } = user;
  return {
    origin: cluster.server.replace(/\/$/, ""),
    tls: Object.fromEntries(Object.entries(tls).filter(([, text]) => text !== undefined)),
    token: async () =>
      typeof tokenFile === "string"
        ? (await readText(files, resolve(folder, tokenFile))).trim()
        : typeof token === "string"
        ? token
        : null,
  };
}

function resolve(folder: string, path: string): string {
  return path.startsWith("/") ? path : folder + path;
}

async function readText(files: Pick<Files, "read">, path: string): Promise<string> {
  try {
    return new TextDecoder().decode(await files.read(path));
  } catch (error) {
    throw invalidArgument(`Cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
}
