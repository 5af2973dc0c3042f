/**
 * Flags with a port for each worker of a process.
 *
 * @module
 */
import { type OptionValues, UsageError, type WorkerPlace } from "@stator/worker";
import type { DynamoArgs } from "../dynamo_args.ts";

/** The flags, by the field of engine arguments that has the port of one worker. */
const LISTS = {
  bootstrap_port: ["bootstrapPorts", "--bootstrap-ports"],
  zmq_kv_events_port: ["zmqKvEventsPorts", "--zmq-kv-events-ports"],
  zmq_replay_port: ["zmqReplayPorts", "--zmq-replay-ports"],
} as const;
const MAX_PORT = 0xffff;
/** What a prefill worker may listen on, since it tells where; subscribers of events have to know the port. */
const ANY_PORT = 0;

/**
 * Arguments with the ports of one worker; a list beats what is there.
 *
 * @throws {UsageError} If a list has not one port for each worker, or one flag needs another.
 */
export function withPorts(args: DynamoArgs, values: OptionValues, { index, count }: WorkerPlace): DynamoArgs {
  const ports: Record<string, number> = {};
  for (const [field, [key, flag]] of Object.entries(LISTS)) {
    const list = values[key] as string | undefined;
    if (list !== undefined) ports[field] = parseList(list, flag, count)[index]!;
    else if (count > 1 && (args[field as keyof typeof LISTS] ?? ANY_PORT) !== ANY_PORT) {
      throw new UsageError(`dynamo.${field} is one port, and there are ${count} workers: give ${flag} instead`);
    }
  }
  const placed = { ...args, ...ports };
  if (placed.zmq_replay_port === null || placed.zmq_kv_events_port !== null) return placed;
  throw new UsageError("--zmq-replay-ports needs --zmq-kv-events-ports");
}

function parseList(list: string, flag: string, count: number): number[] {
  const ports = list.split(",").map((word) => word.trim() === "" ? NaN : Number(word));
  const least = flag === LISTS.bootstrap_port[1] ? ANY_PORT : 1;
  const wrong = ports.find((port) => !Number.isInteger(port) || port < least || port > MAX_PORT);
  if (wrong !== undefined) {
    throw new UsageError(
      `${flag}: ${JSON.stringify(list)} is no list of ports from ${least} to ${MAX_PORT}, with commas`,
    );
  }
  if (ports.length === count) return ports;
  throw new UsageError(`${flag} needs one port for each of ${count} workers (--num-workers), not ${ports.length}`);
}
