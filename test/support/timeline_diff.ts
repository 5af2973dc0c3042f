/**
 * Two timelines line by line, and why they differ.
 *
 * @module
 */

/** A line only one of two timelines has. */
export interface Difference {
  /** `+` ours, `-` the capture's. */
  readonly side: "+" | "-";
  readonly line: string;
}

/** Why a difference is wanted. */
export interface Reason {
  readonly side: "+" | "-";
  /** The whole line. */
  readonly line: RegExp;
  /** Lives it is wanted in. @default all */
  readonly lives?: readonly string[];
  readonly why: string;
}

/** A line of a comparison: in both, or different, with the reason if there is one. */
export interface ComparedLine {
  readonly side: " " | "+" | "-";
  readonly line: string;
  readonly reason?: Reason;
}

/** Compares; common lines are those of a longest common subsequence, so that a line in another place is two differences. */
export function compareLines(
  theirs: readonly string[],
  ours: readonly string[],
): { side: " " | "+" | "-"; line: string }[] {
  const length = commonLengths(theirs, ours);
  const lines: { side: " " | "+" | "-"; line: string }[] = [];
  let [i, j] = [0, 0];
  while (i < theirs.length || j < ours.length) {
    if (i < theirs.length && theirs[i] === ours[j]) {
      lines.push({ side: " ", line: theirs[i]! });
      [i, j] = [i + 1, j + 1];
    } else if (j === ours.length || (i < theirs.length && length[i + 1]![j]! >= length[i]![j + 1]!)) {
      lines.push({ side: "-", line: theirs[i++]! });
    } else {
      lines.push({ side: "+", line: ours[j++]! });
    }
  }
  return lines;
}

/** Finds the reason of every difference. */
export function explain(
  life: string,
  lines: ReturnType<typeof compareLines>,
  reasons: readonly Reason[],
): ComparedLine[] {
  return lines.map(({ side, line }) => {
    const reason = reasons.find((one) =>
      one.side === side && (one.lives?.includes(life) ?? true) && new RegExp(`^(?:${one.line.source})$`).test(line)
    );
    return { side, line, ...(side === " " || reason === undefined ? {} : { reason }) };
  });
}

/** The differences nobody wants. */
export function unexplained(lines: readonly ComparedLine[]): string[] {
  return lines.filter(({ side, reason }) => side !== " " && reason === undefined).map(({ side, line }) => side + line);
}

/** How many lines the rests of two lists have in common at most, from each pair of places on. */
function commonLengths(a: readonly string[], b: readonly string[]): number[][] {
  const table = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      table[i]![j] = a[i] === b[j] ? table[i + 1]![j + 1]! + 1 : Math.max(table[i + 1]![j]!, table[i]![j + 1]!);
    }
  }
  return table;
}
