import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeInstance, decodeModel, slug } from "../../src/protocol/record.ts";
import { goldenEntries } from "../support/golden.ts";

const instance = valueOf("v1/instances");
const model = valueOf("v1/mdc");

function valueOf(bucket: string): string {
  const entry = goldenEntries("plain").find((each) => each.bucket === bucket);
  assert.ok(entry);
  return entry.value;
}

/** The text with one piece replaced, which must be there. */
function edit(text: string, from: string | RegExp, to: string): string {
  const edited = text.replace(from, to);
  assert.notEqual(edited, text);
  return edited;
}

test("decodeInstance() keeps every digit of an id", () => {
  const text = edit(instance, /"instance_id":\d+/, '"instance_id":18446744073709551615');
  assert.equal(decodeInstance(text).instance_id, 18446744073709551615n);
  assert.equal(decodeInstance(edit(instance, /"instance_id":\d+/, '"instance_id":7')).instance_id, 7n);
});

test("decodeInstance() drops unknown fields and does without the optional ones", () => {
  const text = '{"later":1,"type":"Endpoint","namespace":"n","component":"c","endpoint":"e","instance_id":1,' +
    '"transport":{"nats_tcp":"n_c.e-1"}}';
  assert.deepEqual(decodeInstance(text), {
    namespace: "n",
    component: "c",
    endpoint: "e",
    instance_id: 1n,
    transport: { nats_tcp: "n_c.e-1" },
  });
});

// The cases of golden/discovery/frontend-acceptance.json that a reader rejects when the record arrives.
const refusedInstances: readonly (readonly [string, string, RegExp])[] = [
  ["value is not JSON", "{x", /not JSON/],
  ["value is empty", "", /not JSON/],
  ["value is no object", "[]", /not an object/],
  ["type absent", edit(instance, '"type":"Endpoint",', ""), /missing field `type`/],
  ["type endpoint", edit(instance, "Endpoint", "endpoint"), /type "endpoint" is not `Endpoint`/],
  ["a model record", model, /type "Model" is not `Endpoint`/],
  ["id absent", edit(instance, /"instance_id":\d+,/, ""), /missing field `instance_id`/],
  ["id as string", edit(instance, /"instance_id":(\d+)/, '"instance_id":"$1"'), /unsigned 64-bit/],
  ["id as float", edit(instance, /"instance_id":\d+/, '"instance_id":781.0'), /unsigned 64-bit/],
  ["id negative", edit(instance, /"instance_id":\d+/, '"instance_id":-5'), /unsigned 64-bit/],
  ["id above u64", edit(instance, /"instance_id":\d+/, '"instance_id":18446744073709551616'), /unsigned 64-bit/],
  ["transport absent", edit(instance, /"transport":\{.*?\},/, ""), /missing field `transport`/],
  ["transport http", edit(instance, '"tcp"', '"http"'), /neither `nats_tcp` nor `tcp`/],
  ["device gpu", edit(instance, '"cuda"', '"gpu"'), /`device_type` is not one of cpu, cuda/],
  ["codec bson", edit(instance, '"msgpack"', '"bson"'), /`request_plane_codec` is not one of json, msgpack/],
  ["namespace absent", edit(instance, /"namespace":".*?",/, ""), /missing field `namespace`/],
];

for (const [name, text, message] of refusedInstances) {
  test(`decodeInstance() refuses: ${name}`, () => {
    assert.throws(() => decodeInstance(text), (error) => error instanceof SyntaxError && message.test(error.message));
  });
}

const acceptedModels: readonly (readonly [string, string])[] = [
  ["worker_type null", edit(model, '"worker_type":"aggregated"', '"worker_type":null')],
  ["needs absent", edit(model, '"needs":[],', "")],
  ["runtime_config empty", edit(model, /"runtime_config":\{.*?\}/, '"runtime_config":{}')],
  ["flags in another order", edit(model, "Chat | Completions", "Completions|Chat")],
  ["flags as hex", edit(model, "Chat | Completions", "0x3")],
  ["no flags", edit(model, "Chat | Completions", "")],
  ["slug of its own", edit(model, '"slug":"tiny-model"', '"slug":"other"')],
  ["size absent", edit(model, ',"size":323', "")],
  ["unknown parser", edit(model, '"tool_call_parser":null', '"tool_call_parser":"later"')],
  ["unknown field", edit(model, '"needs":[]', '"needs":[],"later":{"path":1}')],
  ["model_info null", edit(model, /"model_info":\{\{?.*?\}\}/, '"model_info":null')],
];

for (const [name, text] of acceptedModels) {
  test(`decodeModel() accepts: ${name}`, () => {
    assert.equal(decodeModel(text).card_json.display_name, "tiny-model");
  });
}

const refusedModels: readonly (readonly [string, string, RegExp])[] = [
  ["no card", edit(model, '"card_json"', '"card"'), /missing field `card_json`/],
  ...["display_name", "slug", "kv_cache_block_size", "migration_limit", "model_type", "model_input"].map((field) =>
    [`no ${field}`, edit(model, `"${field}"`, '"later"'), new RegExp(`missing field \`${field}\``)] as const
  ),
  ["model_type number", edit(model, '"Chat | Completions"', "3"), /`model_type` is not a string/],
  ["model_type chat", edit(model, "Chat |", "chat |"), /unrecognized named flag `chat`/],
  ["model_type Foo", edit(model, "Completions", "Foo"), /unrecognized named flag `Foo`/],
  ["model_input tokens", edit(model, '"Tokens"', '"tokens"'), /`model_input` is not one of Text, Tokens, Tensor/],
  ["worker_type Aggregated", edit(model, '"aggregated"', '"Aggregated"'), /worker type "Aggregated"/],
  ["needs unknown type", edit(model, '"needs":[]', '"needs":[["foo"]]'), /worker type "foo"/],
  ["slug B", edit(model, '"slug":"tiny-model"', '"slug":"B"'), /`slug` can only contain/],
  ["display_name empty", edit(model, '"display_name":"tiny-model"', '"display_name":""'), /cannot be empty/],
  ["checksum sha256", edit(model, "blake3:", "sha256:"), /64-char lowercase hex blake3/],
  ["checksum upper case", edit(model, "blake3:60fb", "blake3:60FB"), /64-char lowercase hex blake3/],
  ["lora without suffix", edit(model, '"needs":[]', '"needs":[],"lora":{"name":"a"}'), /LoRA .* disagree/],
  ["suffix without lora", model.slice(0, -1) + ',"model_suffix":"a"}', /LoRA .* disagree/],
  ["endpoint record", instance, /type "Endpoint" is not `Model`/],
];

for (const [name, text, message] of refusedModels) {
  test(`decodeModel() refuses: ${name}`, () => {
    assert.throws(() => decodeModel(text), (error) => error instanceof SyntaxError && message.test(error.message));
  });
}

test("decodeModel() keeps integers above 2^53 and turns 1.0 into a number", () => {
  const text = edit(model, '"needs":[]', '"needs":[],"user_data":{"big":9007199254740993,"float":1.0}');
  assert.deepEqual(decodeModel(text).card_json.user_data, { big: 9007199254740993n, float: 1 });
});

test("slug() replaces one character by one and strips leading underscores", () => {
  assert.equal(slug("__A b/ü😀-c_"), "a_b___-c_");
});
