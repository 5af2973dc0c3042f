import assert from "node:assert/strict";
import { symlink, writeFile } from "node:fs/promises";
import { test } from "node:test";
import {
  artifactPrefix,
  hostedCardFiles,
  localCardFiles,
  modelFilesOf,
  readModelFolder,
} from "../../src/model/folder.ts";
import { files as diskFiles } from "../../src/platform/files.ts";
import { DynamoError } from "../../src/protocol/error.ts";
import { type CardFile, type CardFiles, modelCardOf } from "../../src/protocol/model_card.ts";
import { decodeModel } from "../../src/protocol/record.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { MemoryFiles, openTemporaryDirectory } from "../support/files.ts";
import { goldenBytes, goldenEntries } from "../support/golden.ts";

const NAME = { namespace: "dynamo", component: "sample", endpoint: "generate" };
const ORIGIN = "http://127.0.0.1:8202";
const MODEL = ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"];
const EXTRA = ["LICENSE", "chat_template.jinja", "preprocessor_config.json", "special_tokens_map.json"];

/** The captured model under `/models/<name>`, with more or fewer files. */
async function folder(name: string, more: Record<string, Uint8Array | string> = {}, without: string[] = []) {
  const files = new MemoryFiles(new FakeClock());
  await files.makeDirectory(`/models/${name}`);
  for (const file of MODEL.filter((each) => !without.includes(each))) {
    await files.write(`/models/${name}/${file}`, goldenBytes(`discovery/model/${file}`));
  }
  for (const [file, content] of Object.entries(more)) {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await files.write(`/models/${name}/${file}`, bytes);
  }
  return files;
}

function extraFiles(): Record<string, Uint8Array> {
  return Object.fromEntries(EXTRA.map((name) => [name, goldenBytes(`discovery/model-extra/${name}`)]));
}

/** The file slots of a captured card; extra files stand there in no order. */
function captured(capture: string): CardFiles {
  const entry = goldenEntries(capture).find((each) => each.bucket === "v1/mdc");
  assert.ok(entry);
  return sorted(modelCardOf(decodeModel(entry.value)));
}

function sorted(files: CardFiles): CardFiles {
  const byPath = (a: CardFile, b: CardFile): number => a.path < b.path ? -1 : 1;
  return JSON.parse(JSON.stringify({
    model_info: files.model_info,
    tokenizer: files.tokenizer,
    prompt_formatter: files.prompt_formatter,
    chat_template_file: files.chat_template_file,
    gen_config: files.gen_config,
    extra_files: files.extra_files?.toSorted(byPath),
  }));
}

const refuses = (message: RegExp) => (error: unknown): boolean =>
  error instanceof DynamoError && error.kind === "InvalidArgument" && message.test(error.message);

test("hostedCardFiles() gives the slots of the captured plain card", async () => {
  const model = await readModelFolder(await folder("tiny-model"), "/models/tiny-model");
  const files = hostedCardFiles(model, ORIGIN, artifactPrefix(NAME, "tiny-model"));
  assert.deepEqual(sorted(files), captured("plain"));
  assert.equal(model.architecturalContextLength, 8192);
  assert.equal(model.sourcePath, "/models/tiny-model");
});

test("hostedCardFiles() lists template and extra files as captured, and no weights, dotfiles or README.md", async () => {
  const junk = { ".hidden": "x", "README.md": "x", "model.safetensors": "x", "w.GGUF": "x", "a.pth": "x" };
  const files = await folder("extra-model", { ...extraFiles(), ...junk });
  await files.makeDirectory("/models/extra-model/sub");
  await files.write("/models/extra-model/sub/file.json", new Uint8Array(1));
  const model = await readModelFolder(files, "/models/extra-model");
  const slots = hostedCardFiles(model, ORIGIN, artifactPrefix(NAME, "extra-model"));
  assert.deepEqual(sorted(slots), captured("extra"));
});

test("hostedCardFiles() takes a custom template from anywhere", async () => {
  const files = await folder("tiny-model");
  await files.write("/tmp/custom.jinja", goldenBytes("discovery/model-extra/custom.jinja"));
  const model = await readModelFolder(files, "/models/tiny-model", { customTemplate: "/tmp/custom.jinja" });
  const slots = hostedCardFiles(model, ORIGIN, artifactPrefix(NAME, "tiny-model"));
  assert.deepEqual(sorted(slots), captured("jinja"));
});

test("a custom template of the model's own name replaces it: one name, one file", async () => {
  const files = await folder("m", extraFiles());
  await files.write("/tmp/chat_template.jinja", Uint8Array.of(1));
  const model = await readModelFolder(files, "/models/m", { customTemplate: "/tmp/chat_template.jinja" });
  const named = model.files.filter((file) => file.name === "chat_template.jinja");
  assert.deepEqual(named.map((file) => [file.slot, file.isCustom, file.size]), [["chat_template_file", true, 1]]);
});

test("localCardFiles() gives the absolute paths of the captured card, without extra files", async () => {
  const model = await readModelFolder(await folder("tiny-model"), "/models/tiny-model/");
  assert.deepEqual(sorted(localCardFiles(model)), captured("nosys"));
  const extra = await readModelFolder(await folder("tiny-model", { LICENSE: "x" }), "/models/tiny-model");
  assert.equal("extra_files" in localCardFiles(extra), false);
});

test("readModelFolder() finds a relative folder, and keeps its text as source path", async () => {
  const files = new MemoryFiles(new FakeClock());
  await files.makeDirectory("/home/dynamo/m");
  for (const name of MODEL) await files.write(`/home/dynamo/m/${name}`, goldenBytes(`discovery/model/${name}`));
  const model = await readModelFolder(files, "./m");
  assert.equal(model.sourcePath, "./m");
  assert.equal(model.files[0]?.path, "/home/dynamo/m/config.json");
});

test("readModelFolder() follows links, as in a hub cache, and passes over those that lead nowhere", async () => {
  await using blobs = await openTemporaryDirectory();
  await using snapshot = await openTemporaryDirectory();
  for (const name of [...MODEL, "LICENSE"]) {
    const bytes = name === "LICENSE" ? new Uint8Array(1) : goldenBytes(`discovery/model/${name}`);
    await writeFile(`${blobs.path}/${name}-blob`, bytes);
    await symlink(`${blobs.path}/${name}-blob`, `${snapshot.path}/${name}`);
  }
  await symlink(`${blobs.path}/gone`, `${snapshot.path}/NOTICE`);
  const model = await readModelFolder(diskFiles, snapshot.path);
  assert.deepEqual(model.files.map((file) => file.name).sort(), [...MODEL, "LICENSE"].sort());
  assert.equal(model.files.find((file) => file.slot === "extra")?.name, "LICENSE");
});

test("a file's bytes are read anew each time", async () => {
  const files = await folder("m");
  const model = await readModelFolder(files, "/models/m");
  await files.write("/models/m/config.json", Uint8Array.of(7));
  assert.deepEqual(await model.files[0]?.bytes(), Uint8Array.of(7));
});

test("modelFilesOf() describes files in memory, which can be served but not shared by path", async () => {
  const bytes = new Map(MODEL.map((name) => [name, goldenBytes(`discovery/model/${name}`)]));
  const model = await modelFilesOf("stator-sample", bytes);
  const slots = hostedCardFiles(model, ORIGIN, artifactPrefix(NAME, "tiny-model"));
  assert.deepEqual(sorted(slots), captured("plain"));
  assert.throws(() => localCardFiles(model), refuses(/'stator-sample' by path: .* must be served/));
});

for (
  const [names, key, found] of [
    [["tiktoken.model", "x.tiktoken"], "tik_token_model", "tiktoken.model"],
    [["x.tiktoken"], "tik_token_model", "x.tiktoken"],
    [["tokenizer.json", "tiktoken.model"], "hf_tokenizer_json", "tokenizer.json"],
  ] as const
) {
  test(`readModelFolder() picks ${found} of ${names.join(", ")}`, async () => {
    const more = Object.fromEntries(names.map((name) => [name, "x"]));
    const model = await readModelFolder(await folder("m", more, ["tokenizer.json"]), "/models/m");
    const tokenizer = localCardFiles(model).tokenizer as unknown as Record<string, CardFile>;
    assert.equal(tokenizer[key]?.path, `/models/m/${found}`);
  });
}

test("readModelFolder() takes chat_template.json when there is no chat_template.jinja", async () => {
  const slots = localCardFiles(
    await readModelFolder(await folder("m", { "chat_template.json": "{}" }), "/models/m"),
  );
  assert.ok(slots.chat_template_file && "hf_chat_template_json" in slots.chat_template_file);
  assert.equal(slots.chat_template_file.hf_chat_template_json.is_custom, false);
});

const lengths: readonly (readonly [string, string, string, number | undefined])[] = [
  ["max_position_embeddings", '{"max_position_embeddings":4096}', '{"model_max_length":1}', 4096],
  ["text_config", '{"text_config":{"max_position_embeddings":2048}}', '{"model_max_length":1}', 2048],
  ["model_max_length", "{}", '{"model_max_length":1024}', 1024],
  ["nothing for 0", '{"max_position_embeddings":0}', "{}", undefined],
  ["nothing for no limit", "{}", '{"model_max_length":1000000000000000019884624838656}', undefined],
];

for (const [name, config, tokenizerConfig, expected] of lengths) {
  test(`readModelFolder() takes the context length from ${name}`, async () => {
    const files = await folder("m", { "config.json": config, "tokenizer_config.json": tokenizerConfig });
    assert.equal((await readModelFolder(files, "/models/m")).architecturalContextLength, expected);
  });
}

test("readModelFolder() says what is wrong with a folder", async () => {
  const read = async (files: MemoryFiles, path = "/models/m") => await readModelFolder(files, path);
  await assert.rejects(read(await folder("m"), "/models/no"), refuses(/'\/models\/no': there is no such folder/));
  await assert.rejects(read(await folder("m"), "/models/m/config.json"), refuses(/config.json': it is not a folder/));
  await assert.rejects(read(await folder("m", {}, ["config.json"])), refuses(/'\/models\/m': config.json is missing/));
  await assert.rejects(read(await folder("m", {}, ["tokenizer.json"])), refuses(/'\/models\/m': tokenizer.json is/));
  await assert.rejects(
    read(await folder("m", { "a.tiktoken": "", "b.tiktoken": "" }, ["tokenizer.json"])),
    refuses(/more than one .tiktoken file: a.tiktoken, b.tiktoken/),
  );
  await assert.rejects(read(await folder("m", { "config.json": "[" })), refuses(/config.json is not a JSON object/));
  await assert.rejects(
    readModelFolder(await folder("m"), "/models/m", { customTemplate: "/no.jinja" }),
    refuses(/chat template '\/no.jinja': there is no such file/),
  );
});
