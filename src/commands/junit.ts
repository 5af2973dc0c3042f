/**
 * A conformance report as JUnit XML, which build servers read.
 *
 * @module
 */
import type { CheckResult, ConformanceReport } from "../testing/conformance_report.ts";

/** Formats a report as one test suite, one case a check. */
export function formatJunit({ role, checks }: ConformanceReport, engine: string): string {
  const count = (status: CheckResult["status"]) => checks.filter((check) => check.status === status).length;
  const seconds = checks.reduce((sum, { durationMs }) => sum + durationMs, 0) / 1000;
  const counts = `tests="${checks.length}" failures="${count("failed")}" skipped="${
    count("not_applicable")
  }" errors="0"`;
  const suite = escapeXml(`stator conformance ${engine} (${role})`);
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    "<testsuites>",
    `  <testsuite name="${suite}" ${counts} time="${seconds.toFixed(3)}">`,
    ...checks.map((check) => formatCase(check, `stator.conformance.${escapeXml(engine)}.${role}`)),
    "  </testsuite>",
    "</testsuites>",
    "",
  ].join("\n");
}

function formatCase({ name, status, failure, message, durationMs }: CheckResult, className: string): string {
  const open = `    <testcase classname="${className}" name="${name}" time="${(durationMs / 1000).toFixed(3)}"`;
  const text = escapeXml(message);
  if (status === "passed") return `${open}/>`;
  const inner = status === "failed" ? `<failure type="${failure}" message="${text}"/>` : `<skipped message="${text}"/>`;
  return `${open}>${inner}</testcase>`;
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** Text for an attribute; characters that XML cannot hold at all become a question mark. */
function escapeXml(text: string): string {
  return text
    .replace(/[&<>"]/g, (character) => ENTITIES[character]!)
    .replace(/[\t\n\r]/g, (character) => `&#${character.charCodeAt(0)};`)
    // deno-lint-ignore no-control-regex
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|\p{Surrogate}/gu, "?");
}
