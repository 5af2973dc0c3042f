/**
 * The worker's model card, from what its engine and its options say.
 *
 * @module
 */
import type { EngineConfig } from "../engine/engine.ts";
import { artifactPrefix, hostedCardFiles, localCardFiles } from "../model/folder.ts";
import type { Files } from "../platform/platform.ts";
import { buildModelCard, type ModelCardInput } from "../protocol/card_build.ts";
import type { ModelCard, WorkerType } from "../protocol/model_card.ts";
import type { EndpointName } from "../protocol/record.ts";
import { openModelSource } from "./model_source.ts";
import type { ResolvedWorkerOptions } from "./options.ts";
import type { SystemServer } from "./system_server.ts";

/**
 * Makes the card, and has the system server serve the model's files if it is open.
 *
 * @throws {DynamoError} `InvalidArgument` if a setting is one that a stock worker refuses.
 */
export async function openCard(
  name: EndpointName,
  engine: EngineConfig,
  options: ResolvedWorkerOptions,
  system: SystemServer,
  files: Files,
): Promise<ModelCard> {
  const model = await openModelSource(options, engine.model, files);
  const input = cardInput(engine, options, model.sourcePath, model.architecturalContextLength);
  const hasLocalPaths = model.files.every((file) => file.path !== undefined);
  const origin = options.selfHostMetadata ? await system.origin(hasLocalPaths) : null;
  if (origin === null) return buildModelCard({ ...input, files: localCardFiles(model) });
  const prefix = artifactPrefix(name, buildModelCard(input).slug);
  for (const file of model.files) system.artifacts.host(prefix, file.name, () => file.bytes());
  return buildModelCard({ ...input, files: hostedCardFiles(model, origin, prefix) });
}

function cardInput(
  engine: EngineConfig,
  options: ResolvedWorkerOptions,
  sourcePath: string,
  architecturalContextLength: number | undefined,
): ModelCardInput {
  const { servedModelName, toolCallParser, reasoningParser, structuralTag, stableRoutingId } = options;
  return {
    engine,
    sourcePath,
    endpointTypes: options.endpointTypes,
    role: workerType(options.disaggregationMode),
    routeToEncoder: options.routeToEncoder,
    excludeToolsWhenToolChoiceNone: options.excludeToolsWhenToolChoiceNone,
    ...(servedModelName === undefined ? {} : { servedModelName }),
    ...(architecturalContextLength === undefined ? {} : { architecturalContextLength }),
    ...(toolCallParser === undefined ? {} : { toolCallParser }),
    ...(reasoningParser === undefined ? {} : { reasoningParser }),
    ...(structuralTag === undefined ? {} : { structuralTag }),
    ...(stableRoutingId === undefined ? {} : { stableRoutingId }),
  };
}

/** The role's name on the card. */
function workerType(mode: ResolvedWorkerOptions["disaggregationMode"]): WorkerType {
  return mode === "agg" ? "aggregated" : mode;
}
