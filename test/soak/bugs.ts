/**
 * Bugs that a simulation has to find.
 *
 * @module
 */

/** One edit of a file; `from` must be there exactly once. */
export interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** Bugs by name, each as the edits that plant it. */
export const BUGS: Readonly<Record<string, readonly Edit[]>> = {
  "a missing finally": [{
    file: "src/pipeline/handle.ts",
    from: "const ended = items.close().then(() => null);",
    to: "const ended = Promise.resolve(null);",
  }],
  "a double terminal": [
    {
      file: "src/pipeline/generate.ts",
      from: "      this.#isOver = true;\n      return chunk;\n",
      to: "      return chunk;\n",
    },
    { file: "src/pipeline/handle.ts", from: "    if (isLast(item)) break;\n", to: "" },
  ],
  "a lost permit": [{
    file: "src/pipeline/handle.ts",
    from: "  using _permit = permit;\n",
    to: "",
  }, {
    file: "src/pipeline/handle.ts",
    from: "    await released(items, request, parts);\n",
    to: "    await released(items, request, parts);\n    permit[Symbol.dispose]();\n",
  }],
  "cleanup before the last stream": [{
    file: "src/worker/worker.ts",
    from: "    undo.defer(() => departure.endRequests());",
    to: "",
  }],
  "a swallowed kill": [{
    file: "src/response_plane/tcp.ts",
    from: "(frame) => this.#abort(decodeFrontendWord(frame))",
    to: '(frame) => decodeFrontendWord(frame) === "stop" && this.#abort("stop")',
  }],
};

/** The text with an edit made. @throws {Error} If the code has changed, so that the bug has to be planted anew. */
export function edited(text: string, { file, from, to }: Edit): string {
  if (text.split(from).length !== 2) throw new Error(`Cannot plant: ${file} does not hold this once: ${from}`);
  return text.replace(from, () => to);
}
