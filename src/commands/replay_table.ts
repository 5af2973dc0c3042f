/**
 * The report of a replay as a table of text.
 *
 * @module
 */
import type { ReplaySummary } from "../../engines/mocker/replay/report.ts";
import { reportDistributions, reportFacts, STATISTICS } from "../../engines/mocker/replay/report_table.ts";

/** Digits that small figures keep. */
const DIGITS = 4;

/** Formats a report: figures with their units, then distributions. Names are the peer's. */
export function formatReport(summary: ReplaySummary): string {
  const distributions = reportDistributions(summary);
  return [
    ...aligned(reportFacts(summary).map(({ name, value, unit }) => [name, figure(value), unit]), [0, 2]),
    "",
    ...aligned([
      ["", "", ...STATISTICS],
      ...distributions.map(({ name, unit, values }) => [name, unit, ...values.map((value) => figure(value))]),
    ], [0, 1]),
  ].join("\n");
}

/** Columns as wide as their widest cell; those in `left` are aligned to the left. */
function aligned(rows: readonly (readonly string[])[], left: readonly number[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row.map((cell, column) => left.includes(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))
      .join("  ").trimEnd()
  );
}

function figure(value: number | undefined): string {
  if (value === undefined) return "-";
  if (Number.isInteger(value)) return `${value}`;
  return Math.abs(value) < 1 ? `${Number(value.toPrecision(DIGITS))}` : value.toFixed(3);
}
