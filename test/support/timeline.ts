/**
 * The end of a worker's life as a list of lines, in the form of `golden/contract/shutdown_timelines.txt`.
 *
 * @module
 */
import { faultEvents } from "./fault_events.ts";
import { goldenText } from "./golden.ts";
import { type Child, type Exit, pause } from "./processes.ts";
import type { Store } from "./store.ts";

/** One life. */
export interface Timeline {
  /** How it came to its end. */
  readonly name: string;
  /** Exit code, or the number of the signal that killed it, negative. */
  readonly code: number;
  /** What the engine was asked for and what happened to its records, in order, each with seconds from the signal on. */
  readonly events: readonly string[];
  /** Log lines. */
  readonly log: readonly string[];
}

/** Reads one life of the capture. */
export function goldenTimeline(name: string): Timeline {
  const blocks = goldenText("contract/shutdown_timelines.txt").split(/^### /m);
  const block = blocks.find((text) => text.startsWith(`${name} `));
  if (block === undefined) throw new RangeError(`There is no timeline ${name}`);
  const [header, ...lines] = block.trimEnd().split("\n").map((line) => line.trim());
  return {
    name,
    code: Number(/ rc=(-?\d+) /.exec(header!)![1]),
    events: lines.filter((line) => !line.startsWith("LOG ")),
    log: lines.filter((line) => line.startsWith("LOG ")).map((line) => line.slice(4)),
  };
}

/** A timeline as the capture has it. */
export function formatTimeline({ name, code, events, log }: Timeline): string {
  const lines = [...events, ...log.map((line) => `LOG ${line}`)].map((line) => `    ${line}`);
  return [`### ${name} rc=${code}`, ...lines].join("\n");
}

/** What the fault engine prints, by the names of the capture; what is not here is not told. */
const EVENT_NAMES: Readonly<Record<string, string>> = {
  start: "start",
  generate: "generate",
  finally: "generate_done",
  drain: "drain",
  cleanup: "cleanup",
  "cleaned up": "cleanup_done",
};

/** Records of a worker, by what stands in their keys. */
const RECORDS: Readonly<Record<string, string>> = { endpoint: "v1/instances", card: "v1/mdc" };

/** Watches a worker of the fault engine to its end; `act` signals it, and says with the function it is given when. */
export async function recordTimeline(
  name: string,
  worker: Child,
  store: Store,
  act: (signalled: () => void) => Promise<void>,
): Promise<Timeline> {
  let signalAt: number | null = null;
  let hasEnded = false;
  const deleted: { event: string; at: number }[] = [];
  const watching = (async () => {
    let seen: string[] = [];
    while (!hasEnded) {
      const now = Object.keys(RECORDS).filter((record) => store.keys(RECORDS[record]).length > 0);
      for (const record of seen.filter((one) => !now.includes(one))) {
        deleted.push({ event: `${record}_record_deleted`, at: Date.now() });
      }
      seen = now;
      await pause(5);
    }
  })();
  let exit: Exit;
  try {
    await act(() => signalAt ??= Date.now());
    exit = await worker.exit(30_000);
  } finally {
    hasEnded = true;
    await watching;
  }
  const told = faultEvents(worker).flatMap(({ event, at }) =>
    event in EVENT_NAMES ? [{ event: EVENT_NAMES[event]!, at }] : []
  );
  const all = [...told, ...deleted].sort((a, b) => a.at - b.at);
  const lines = worker.output().split("\n").filter((line) => line !== "" && !line.startsWith('{"event"'));
  const from = signalAt === null ? 0 : lines.findIndex((line) => / SIG(?:TERM|INT) received/.test(line));
  return {
    name,
    code: exit.code ?? (exit.signal === "SIGINT" ? -2 : exit.signal === "SIGKILL" ? -9 : -15),
    events: all.map(({ event, at }) => `${event} ${signalAt === null ? "None" : (at - signalAt) / 1000}`),
    log: lines.slice(Math.max(0, from)),
  };
}

/** The timeline without times, targets, numbers and fields: what two lives can have in common. */
export function essence({ code, events, log }: Timeline): string[] {
  return [`exit ${code}`, ...events.map((event) => event.replace(/ \S+$/, "")), ...log.map(essenceOfLog)];
}

function essenceOfLog(line: string): string {
  const text = line.replace(/^\d{4}-\S+\s+(\w+) [\w:]+: /, "$1 ").replace(/ [\w.]+=.*$/, "");
  return text.replace(/^(INFO Phase \d):.*/, "$1").replace(/\d+(?:\.\d+)?(?=s\b)/g, "N");
}
