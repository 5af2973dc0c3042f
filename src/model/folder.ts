/**
 * Model files: which of them a frontend needs, their checksums, and their places in the model card.
 *
 * @module
 */
import type { Files } from "../platform/platform.ts";
import { fileChecksum } from "../protocol/checksum.ts";
import { DynamoError, invalidArgument } from "../protocol/error.ts";
import type { CardFile, CardFiles } from "../protocol/model_card.ts";
import { decodeText } from "../protocol/payload.ts";
import { type EndpointName, endpointPath } from "../protocol/record.ts";

/** A file's place in the card; `extra` ones are only listed when the worker serves them. */
export type FileSlot = "model_info" | "tokenizer" | "prompt_formatter" | "chat_template_file" | "gen_config" | "extra";

/** One file of a model. */
export interface ModelFile {
  /** Place in the card. */
  readonly slot: FileSlot;
  /** Its own name; readers look files up by it. */
  readonly name: string;
  /** `blake3:` and 64 lower-case hexadecimal digits. */
  readonly checksum: string;
  /** Length. @unit bytes */
  readonly size: number;
  /** Whether it is a template that an option named, rather than the folder. */
  readonly isCustom: boolean;
  /** Absolute path; absent if the file lives in memory. */
  readonly path?: string;
  /** Reads it, anew each time. */
  bytes(): Promise<Uint8Array>;
}

/** The files of a model. */
export interface ModelFiles {
  /** Model path or name as it was given. Its text is part of the model sum. */
  readonly sourcePath: string;
  /** The files, each typed slot at most once. */
  readonly files: readonly ModelFile[];
  /** What the model was trained for, if its configuration says so. @unit tokens */
  readonly architecturalContextLength?: number;
}

/** Settings of {@linkcode readModelFolder}. */
export interface ModelFolderOptions {
  /** Path of a chat template that replaces the model's own. @env DYN_CUSTOM_JINJA_TEMPLATE */
  readonly customTemplate?: string;
}

/** A file that was found, before it is given its slot. */
interface Found {
  readonly name: string;
  readonly path?: string;
  bytes(): Promise<Uint8Array>;
}

const WEIGHTS = /\.(safetensors|bin|gguf|onnx|tflite|h5|pt|pth|msgpack)$/i;

/**
 * Reads a local model folder: not its subfolders, following links.
 *
 * @throws {DynamoError} `InvalidArgument`, if the folder, `config.json` or the tokenizer is missing or unreadable.
 * @source dynamo-llm 1.6.1, `ModelDeploymentCard::load_from_disk` and the extra files of self-hosting
 */
export async function readModelFolder(
  files: Files,
  path: string,
  options: ModelFolderOptions = {},
): Promise<ModelFiles> {
  const folder = absolutePath(files, path);
  const names = await listFolder(files, path, folder);
  const found: Found[] = [];
  for (const name of names.sort()) {
    const file = `${folder}/${name}`;
    if (await isRegularFile(files, file)) found.push({ name, path: file, bytes: () => files.read(file) });
  }
  let template: Found | undefined;
  if (options.customTemplate !== undefined) {
    const file = absolutePath(files, options.customTemplate);
    if (!await isRegularFile(files, file)) {
      throw invalidArgument(`Cannot read chat template '${options.customTemplate}': there is no such file`);
    }
    template = { name: file.slice(file.lastIndexOf("/") + 1), path: file, bytes: () => files.read(file) };
  }
  return await arrange(path, found, template);
}

/**
 * Takes model files that live in memory.
 *
 * @param sourcePath The model's name: there is no path that a frontend could read.
 * @throws {DynamoError} `InvalidArgument`, as {@linkcode readModelFolder}.
 */
export async function modelFilesOf(sourcePath: string, files: ReadonlyMap<string, Uint8Array>): Promise<ModelFiles> {
  const found = [...files].map(([name, bytes]): Found => ({ name, bytes: () => Promise.resolve(bytes) }));
  return await arrange(sourcePath, found, undefined);
}

/** Where the worker's HTTP server serves the files of a model. */
export function artifactPrefix(name: EndpointName, modelSlug: string, suffix = "_base"): string {
  return `/v1/metadata/${endpointPath(name)}/${modelSlug}/${suffix}`;
}

/**
 * The card's slots as URLs of the worker's own HTTP server.
 *
 * @param origin Such as `http://10.0.0.7:8081`; never a wildcard address.
 * @param prefix See {@linkcode artifactPrefix}.
 */
export function hostedCardFiles(model: ModelFiles, origin: string, prefix: string): CardFiles {
  const place = (file: ModelFile): string => `${origin}${prefix}/${encodeURIComponent(file.name)}`;
  const extra = model.files.filter((file) => file.slot === "extra").map((file) => cardFile(file, place));
  return { ...slots(model, place), ...(extra.length === 0 ? {} : { extra_files: extra }) };
}

/**
 * The card's slots as paths on a disk that the frontend shares; extra files are not listed then.
 *
 * @throws {DynamoError} `InvalidArgument`, if the files live in memory.
 */
export function localCardFiles(model: ModelFiles): CardFiles {
  return slots(model, (file) => {
    if (file.path !== undefined) return file.path;
    throw invalidArgument(
      `Cannot publish model '${model.sourcePath}' by path: its files are built in, so they must be served`,
    );
  });
}

async function arrange(sourcePath: string, found: readonly Found[], template: Found | undefined): Promise<ModelFiles> {
  const named = (name: string): Found | undefined => found.find((file) => file.name === name);
  const config = named("config.json");
  if (config === undefined) throw invalidArgument(`Cannot read model '${sourcePath}': config.json is missing`);
  const tokenizer = named("tokenizer.json") ?? named("tiktoken.model") ?? singleTiktoken(sourcePath, found);
  if (tokenizer === undefined) throw invalidArgument(`Cannot read model '${sourcePath}': tokenizer.json is missing`);
  const typed: (readonly [FileSlot, Found | undefined])[] = [
    ["model_info", config],
    ["tokenizer", tokenizer],
    ["prompt_formatter", named("tokenizer_config.json")],
    ["chat_template_file", template ?? named("chat_template.jinja") ?? named("chat_template.json")],
    ["gen_config", named("generation_config.json")],
  ];
  // By name, since two files of one name would have one URL.
  const taken = new Set(typed.map(([, file]) => file?.name));
  const extra = found.filter(({ name }) => !taken.has(name) && isExtra(name));
  const files: ModelFile[] = [];
  for (const [slot, file] of [...typed, ...extra.map((file) => ["extra", file] as const)]) {
    if (file !== undefined) files.push(await describe(slot, file, file === template));
  }
  const contextLength = await architecturalContextLength(sourcePath, config, named("tokenizer_config.json"));
  return { sourcePath, files, ...(contextLength === undefined ? {} : { architecturalContextLength: contextLength }) };
}

function singleTiktoken(sourcePath: string, found: readonly Found[]): Found | undefined {
  const candidates = found.filter((file) => file.name.endsWith(".tiktoken"));
  if (candidates.length < 2) return candidates[0];
  const names = candidates.map((file) => file.name).join(", ");
  throw invalidArgument(`Cannot read model '${sourcePath}': more than one .tiktoken file: ${names}`);
}

function isExtra(name: string): boolean {
  return !name.startsWith(".") && name !== "README.md" && !WEIGHTS.test(name);
}

async function describe(slot: FileSlot, file: Found, isCustom: boolean): Promise<ModelFile> {
  const bytes = await file.bytes();
  return { ...file, slot, checksum: fileChecksum(bytes), size: bytes.length, isCustom };
}

async function architecturalContextLength(
  sourcePath: string,
  config: Found,
  tokenizerConfig: Found | undefined,
): Promise<number | undefined> {
  const model = await parseObject(config);
  if (model === null) throw invalidArgument(`Cannot read model '${sourcePath}': config.json is not a JSON object`);
  const inner = model.text_config as Record<string, unknown> | null | undefined;
  const fromModel = tokens(model.max_position_embeddings) ?? tokens(inner?.max_position_embeddings);
  if (fromModel !== undefined || tokenizerConfig === undefined) return fromModel;
  return tokens((await parseObject(tokenizerConfig))?.model_max_length);
}

/** A usable length: tokenizers without a limit say 10^30. */
function tokens(value: unknown): number | undefined {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) <= 0xffff_ffff
    ? value as number
    : undefined;
}

async function parseObject(file: Found): Promise<Record<string, unknown> | null> {
  try {
    const value = JSON.parse(decodeText(await file.bytes()));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : null;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return null;
    throw error;
  }
}

function slots(model: ModelFiles, place: (file: ModelFile) => string): CardFiles {
  const bySlot = new Map(model.files.map((file) => [file.slot, file]));
  const at = (slot: FileSlot): CardFile | undefined => {
    const file = bySlot.get(slot);
    return file && cardFile(file, place);
  };
  const [config, tokenizer, formatter] = [at("model_info"), at("tokenizer"), at("prompt_formatter")];
  const [template, generation] = [at("chat_template_file"), at("gen_config")];
  const isJson = (slot: FileSlot): boolean => bySlot.get(slot)?.name.endsWith(".json") ?? false;
  const entry = template && { is_custom: bySlot.get("chat_template_file")?.isCustom ?? false, file: template };
  return {
    model_info: config ? { hf_config_json: config } : null,
    tokenizer: tokenizer
      ? isJson("tokenizer") ? { hf_tokenizer_json: tokenizer } : { tik_token_model: tokenizer }
      : null,
    ...(formatter && { prompt_formatter: { hf_tokenizer_config_json: formatter } }),
    ...(entry && {
      chat_template_file: isJson("chat_template_file") ? { hf_chat_template_json: entry } : { hf_chat_template: entry },
    }),
    ...(generation && { gen_config: { hf_generation_config_json: generation } }),
  };
}

function cardFile(file: ModelFile, place: (file: ModelFile) => string): CardFile {
  return { path: place(file), checksum: file.checksum, size: file.size };
}

async function listFolder(files: Files, path: string, folder: string): Promise<string[]> {
  try {
    if (!(await files.stat(folder)).isDirectory) {
      throw invalidArgument(`Cannot read model '${path}': it is not a folder`);
    }
    return await files.list(folder);
  } catch (cause) {
    if ((cause as { code?: string }).code !== "ENOENT") throw cause;
    throw new DynamoError("InvalidArgument", `Cannot read model '${path}': there is no such folder`, { cause });
  }
}

/** Follows links; a link that leads nowhere is no file. */
async function isRegularFile(files: Files, path: string): Promise<boolean> {
  try {
    return !(await files.stat(path)).isDirectory;
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return false;
    throw error;
  }
}

/** The path from the root, without a slash at its end. */
function absolutePath(files: Files, path: string): string {
  const isAbsolute = /^([/\\]|[A-Za-z]:[/\\])/.test(path);
  const whole = isAbsolute ? path : `${files.workingDirectory}/${path.replace(/^(\.\/)+/, "")}`;
  return whole.replace(/(?<=.)[/\\]+(\.[/\\]*)?$/, "");
}
