/**
 * An engine whose KV events come from another process, as those of vLLM do. It has no cache of its own.
 *
 * `ZMQ_ENGINE_MODEL` names the model; `ZMQ_ENGINE_PUB` and `ZMQ_ENGINE_REPLAY` are the sockets of the other process.
 *
 * @module
 */
import process from "node:process";
import { chunk, defineEngine, serve, usage } from "@stator/worker";

const { ZMQ_ENGINE_MODEL: model = "", ZMQ_ENGINE_PUB: endpoint = "", ZMQ_ENGINE_REPLAY: replayEndpoint } = process.env;

await serve(defineEngine({
  start: () =>
    Promise.resolve({
      model,
      servedModelName: model,
      contextLength: 4096,
      kvCacheBlockSize: 16,
      totalKvBlocks: 10_000,
    }),
  kvEventSources: () => [{ kind: "zmq", endpoint, ...(replayEndpoint ? { replayEndpoint } : {}) }],
  async *generate({ token_ids }) {
    await Promise.resolve();
    yield chunk.length(usage(token_ids.length, 1), [97]);
  },
  cleanup() {},
}));
