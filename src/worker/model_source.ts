/**
 * Which model files a worker publishes.
 *
 * @module
 */
import { builtinModelFiles } from "../model/builtin.ts";
import { type ModelFiles, modelFilesOf, readModelFolder } from "../model/folder.ts";
import type { Files } from "../platform/platform.ts";
import { DynamoError } from "../protocol/error.ts";
import type { ResolvedWorkerOptions } from "./options.ts";

/** Name of the built-in model when none is given. */
export const BUILTIN_MODEL_NAME = "stator-sample";

/**
 * Finds the model's files: the folder that `--model-path` or `--model-name` names, else the built-in byte-level model
 * under the model's name.
 *
 * @throws {DynamoError} `InvalidArgument` if a folder is named that is not there or is incomplete.
 */
export async function openModelSource(
  options: ResolvedWorkerOptions,
  modelName: string,
  files: Files,
): Promise<ModelFiles> {
  const { modelPath, modelName: givenName, customJinjaTemplate } = options;
  const settings = customJinjaTemplate === undefined ? {} : { customTemplate: customJinjaTemplate };
  if (modelPath !== undefined) return await readModelFolder(files, modelPath, settings);
  if (givenName !== undefined && (looksLikePath(givenName) || await isFolder(files, givenName))) {
    return await readModelFolder(files, givenName, settings);
  }
  if (customJinjaTemplate !== undefined) {
    throw new DynamoError("InvalidArgument", "--custom-jinja-template needs a model folder: give --model-path");
  }
  return await modelFilesOf(modelName, builtinModelFiles());
}

/** A name that can only be meant as a path; `org/model` is a name. */
function looksLikePath(name: string): boolean {
  return /^(\.{0,2}\/|~|[A-Za-z]:\\)/.test(name);
}

async function isFolder(files: Files, path: string): Promise<boolean> {
  try {
    return (await files.stat(path)).isDirectory;
  } catch {
    return false;
  }
}
