import assert from "node:assert/strict";
import { test } from "node:test";
import { builtinModelFiles } from "../../src/model/builtin.ts";
import { Detokenizer } from "../../src/model/detokenizer.ts";
import { createTokenizer, type Tokenizer } from "../../src/model/tokenizer.ts";

const tokenizer = createTokenizer(builtinModelFiles().get("tokenizer.json")!);

/** Pieces of an answer, the flushed one last. */
function pieces(ids: readonly number[], using: Tokenizer = tokenizer): string[] {
  const detokenizer = new Detokenizer(using);
  const shown = ids.map((id) => detokenizer.push(id));
  return [...shown, detokenizer.flush()];
}

/** Numbers in [0, below), the same ones for the same seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
}

const CHARACTERS = ["a", " ", ".", "ä", "ß", "日", "本", "€", "👍", "👍🏽", "👩‍👩‍👧‍👦", "e\u0301", "\uFFFD", "🇩🇪", "\n"];

test("push() gives the text of the whole answer, split token by token, for random UTF-8", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = randomOf(seed);
    const text = Array.from({ length: random(40) }, () => CHARACTERS[random(CHARACTERS.length)]).join("");
    assert.equal(pieces(tokenizer.encode(text)).join(""), text);
  }
});

test("push() gives the text of the whole answer for random ids, valid UTF-8 or not", () => {
  for (let seed = 1; seed <= 500; seed++) {
    const random = randomOf(seed);
    const ids = Array.from({ length: random(80) }, () => random(5) === 0 ? random(300) : 94 + random(126));
    assert.equal(pieces(ids).join(""), tokenizer.decode(ids), ids.join(" "));
  }
});

test("push() never shows a part of a character that is completed later", () => {
  for (const piece of pieces(tokenizer.encode("ä€👍👩‍👩‍👧‍👦"))) assert.ok(!piece.includes("\uFFFD"), piece);
});

test("push() shows plain text at once", () => {
  assert.deepEqual(pieces(tokenizer.encode("hi!")), ["h", "i", "!", ""]);
});

test("flush() shows a character that was cut off", () => {
  const [first] = tokenizer.encode("€");
  assert.deepEqual(pieces([first!]), ["", "\uFFFD"]);
});

test("push() does not hold broken bytes back for ever", () => {
  const broken = new Array<number>(100).fill(94);
  const shown = pieces(broken);
  assert.ok(shown.slice(0, 20).join("").length >= 10);
  assert.equal(shown.join(""), "\uFFFD".repeat(100));
});

test("push() copes with ids the model does not have and with special tokens", () => {
  assert.equal(pieces([71, 31_999, 300, 257, 72]).join(""), "hi");
});

test("push() decodes a bounded number of tokens, however long the answer is", () => {
  let longest = 0;
  const counting: Tokenizer = {
    ...tokenizer,
    decode(ids, options) {
      longest = Math.max(longest, ids.length);
      return tokenizer.decode(ids, options);
    },
  };
  for (const id of [71, 94, 257, 31_999]) pieces(new Array<number>(2000).fill(id), counting);
  assert.ok(longest <= 32, `${longest} tokens were decoded at once`);
});
