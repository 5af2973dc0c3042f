/**
 * docs/conformance.md is complete and true to the tests: every promise stands in it once, and what a line names as proof
 * is there.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./sources.ts";

const PATH = join(ROOT, "docs/conformance.md");
const TEXT = existsSync(PATH) ? readFileSync(PATH, "utf8") : "";

/** First and last number of each section. */
const SECTIONS: Readonly<Record<string, readonly [first: number, last: number]>> = {
  A: [1, 13],
  B: [14, 33],
  C: [34, 60],
  D: [61, 73],
  E: [74, 98],
  F: [99, 108],
  G: [109, 129],
  H: [130, 144],
  I: [145, 165],
  J: [166, 180],
  K: [181, 186],
  L: [187, 203],
  M: [204, 212],
  N: [213, 227],
  O: [228, 243],
};

const STATES = ["live", "tested", "shown", "partly", "not yet", "out"];

interface Line {
  readonly section: string;
  readonly number: number;
  readonly promise: string;
  readonly state: string;
  readonly proof: string;
}

/** A file below `test/`, and a part of a line of it; `…` stands for anything. */
interface Proof {
  readonly file: string;
  readonly quote: string;
}

const LINES: readonly Line[] = TEXT.split(/^## /m).slice(1).flatMap((part) =>
  [...part.matchAll(/^\| +(\d+) \| (.*?) +\| (.*?) +\| (.*?) +\|$/gm)].map((
    [, number, promise = "", state = "", proof = ""],
  ) => ({ section: part[0]!, number: Number(number), promise, state, proof }))
);

Deno.test("docs/conformance.md has every promise once, in its section", () => {
  for (const [section, [first, last]] of Object.entries(SECTIONS)) {
    const numbers = LINES.filter((line) => line.section === section).map((line) => line.number);
    assert.deepEqual(numbers, Array.from({ length: last - first + 1 }, (_, i) => first + i), section);
  }
  assert.deepEqual([...new Set(LINES.map((line) => line.section))], Object.keys(SECTIONS));
});

Deno.test("docs/conformance.md counts its states", () => {
  const [sum = ""] = /^Of \d+ promises [^.]*\./m.exec(TEXT) ?? [];
  const counts = STATES.map((state) => `${LINES.filter((line) => line.state === state).length} ${state}`);
  assert.equal(sum.replace(" are ", " ").replaceAll(/\s+/g, " "), `Of ${LINES.length} promises ${counts.join(", ")}.`);
});

Deno.test("what docs/conformance.md names as proof is there", () => {
  const complaints = LINES.flatMap((line) => complaintsAbout(line).map((what) => `${line.number}: ${what}`));
  assert.deepEqual(complaints, []);
});

Deno.test("complaintsAbout() finds what is not there", () => {
  const line = { section: "A", number: 1, promise: "p" };
  const here = '`repo/conformance_doc.test.ts` "docs/conformance.md … its states"';
  const cases: readonly (readonly [state: string, proof: string, complaint: RegExp | null])[] = [
    ["tested", here, null],
    ["live", here, /no live test/],
    ["live", '`live/serve.test.ts` "chat, streaming"', null],
    ["tested", "by hand", /no test/],
    ["shown", "by hand", null],
    ["shown", "", /no proof/],
    ["done", here, /unknown state/],
    ["tested", '`repo/no_such.test.ts` "docs"', /no_such\.test\.ts is not there/],
    ["tested", '`repo/conformance_doc.test.ts` "a test that nobody ' + 'wrote"', /does not say/],
    ["shown", "[contract.md](no_such.md)", /no_such\.md is not there/],
    ["shown", "`engines/no_such.ts`", /no_such\.ts is not there/],
  ];
  for (const [state, proof, complaint] of cases) {
    const found = complaintsAbout({ ...line, state, proof });
    if (complaint === null) assert.deepEqual(found, [], proof);
    else assert.match(found.join("\n"), complaint);
  }
});

function complaintsAbout({ state, proof }: Line): string[] {
  const proofs = proofsOf(proof);
  const paths = [...proof.matchAll(/`((?:[\w.]+\/)+[\w.]+\.ts)`/g)].map(([, path = ""]) => path);
  const links = [...proof.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(([, link = ""]) => link);
  return [
    ...(STATES.includes(state) ? [] : [`unknown state ${state}`]),
    ...(proof === "" ? ["no proof"] : []),
    ...(state === "tested" && proofs.length === 0 ? ["no test"] : []),
    ...(state === "live" && !proofs.some(({ file }) => file.startsWith("live/")) ? ["no live test"] : []),
    ...paths.filter((path) => [`test/${path}`, path].every((one) => !isThere(one))).map((path) =>
      `${path} is not there`
    ),
    ...links.filter((link) => !isThere(join("docs", link))).map((link) => `${link} is not there`),
    ...proofs.filter((one) => isThere(`test/${one.file}`) && !says(one)).map(({ file, quote }) =>
      `${file} does not say ${quote}`
    ),
  ];
}

function proofsOf(proof: string): Proof[] {
  return [...proof.matchAll(/`([\w./]+\.ts)` ((?:"[^"]+"(?: ?, )?)+)/g)].flatMap(([, file = "", quotes = ""]) =>
    [...quotes.matchAll(/"([^"]+)"/g)].map(([, quote = ""]) => ({ file, quote }))
  );
}

/** Whether a line of code has the parts of a quote, in order. */
function says({ file, quote }: Proof): boolean {
  const parts = quote.split("…").map((part) => RegExp.escape(part)).join(".*");
  const pattern = new RegExp(`^(?!\\s*(?://|\\*|/\\*)).*${parts}`, "m");
  return pattern.test(readFileSync(join(ROOT, "test", file), "utf8"));
}

function isThere(path: string): boolean {
  return existsSync(join(ROOT, path));
}
