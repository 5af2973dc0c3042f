/** A gateway in front of a scripted worker, joined by in-memory discovery; the built-in model's files are read in memory. */
import { MemStore, openMemDiscovery } from "../../src/discovery/mem.ts";
import { openGateway } from "../../src/gateway/gateway.ts";
import { builtinModelFiles } from "../../src/model/builtin.ts";
import { hostedCardFiles, modelFilesOf } from "../../src/model/folder.ts";
import { SILENT } from "../../src/observe/log.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { buildModelCard } from "../../src/protocol/card_build.ts";
import type { EngineConfig } from "../../src/protocol/engine_config.ts";
import { encodeInstance, encodeModel, instanceKey, modelKey } from "../../src/protocol/record.ts";
import { type MiniRequest, type MiniWorker, startMiniWorker } from "./mini_worker.ts";

/** The two, running. */
export interface MiniStack extends AsyncDisposable {
  /** Address of the gateway, without a slash at the end. */
  readonly url: string;
  readonly worker: MiniWorker;
  /** Takes the worker's endpoint out of discovery. */
  withdraw(): Promise<void>;
  /** Posts JSON, or a text as it is. */
  post(path: string, body: unknown, init?: RequestInit): Promise<Response>;
}

/** Starts a gateway, and a worker that serves model `tiny`. */
export async function startMiniStack(
  script: (request: MiniRequest) => void | Promise<void>,
  engine: Partial<EngineConfig> = {},
): Promise<MiniStack> {
  await using undo = new AsyncDisposableStack();
  const worker = undo.use(await startMiniWorker(realPlatform.net, script));
  const store = new MemStore();
  const discovery = undo.use(await openMemDiscovery(store, realPlatform));
  const model = await modelFilesOf("tiny", builtinModelFiles());
  const card = buildModelCard({
    engine: { model: "tiny", ...engine },
    sourcePath: "tiny",
    architecturalContextLength: model.architecturalContextLength ?? 0,
    files: hostedCardFiles(model, "file://", "/builtin"),
  });
  const { instance } = worker;
  const { namespace, component, endpoint, instance_id } = instance;
  const record = { namespace, component, endpoint, instance_id, card_json: { ...card } };
  await discovery.put(modelKey(instance, instance_id), encodeModel(record));
  await discovery.put(instanceKey(instance, instance_id), encodeInstance(instance));
  const files = {
    read: (path: string) => {
      const bytes = builtinModelFiles().get(path.slice("/builtin/".length));
      return bytes === undefined ? Promise.reject(new Error(`no file ${path}`)) : Promise.resolve(bytes);
    },
  };
  const platform = { ...realPlatform, files };
  const gateway = undo.use(await openGateway({ platform, discovery, port: 0, log: SILENT }));
  const url = `http://${gateway.address}`;
  const running = undo.move();
  return {
    url,
    worker,
    withdraw: () => discovery.delete(instanceKey(instance, instance_id)),
    post: (path, body, init) =>
      fetch(url + path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: typeof body === "string" ? body : JSON.stringify(body),
        ...init,
      }),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** The values of an event stream, `[DONE]` included. */
export async function readEvents(response: Response): Promise<unknown[]> {
  const text = await response.text();
  return text.split("\n\n").filter((event) => event !== "").map((event) => {
    const data = event.replace(/^data: /, "");
    return data === "[DONE]" ? data : JSON.parse(data);
  });
}
