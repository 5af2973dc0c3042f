/** A worker whose lease is lost goes on and comes back; if that is refused, it ends in order and says so by its exit code. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EtcdMishap } from "../support/fake_etcd.ts";
import { FakeEtcd } from "../support/fake_etcd.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { createLog } from "../../src/observe/log.ts";
import { chunk } from "../../src/protocol/output.ts";
import { decodeInstance } from "../../src/protocol/record.ts";
import { resolveOptions } from "../../src/worker/resolve_options.ts";
import { WorkerLife } from "../../src/worker/worker.ts";
import { read } from "../support/answers.ts";
import { openRawFrontend } from "../support/raw_frontend.ts";
import { eventually, type Generate, platformWith, probeEngine } from "../support/worker_rig.ts";

/** The lease of a real worker is renewed in real time: one second is the least that there is. */
const OPTIONS = {
  discoveryBackend: "etcd",
  etcdLeaseTtlSeconds: 1,
  etcdEndpoints: "http://a:2379",
  graceSeconds: 0,
  shutdownTimeoutSeconds: 30,
  tcpRpcHost: "127.0.0.1",
  eventPlaneHost: "127.0.0.1",
};

function begin(generate: Generate) {
  const etcd = new FakeEtcd(new FakeClock());
  const lines: string[] = [];
  const log = createLog({ level: "debug", wallTime: () => 0, write: (line) => void lines.push(line) });
  const { engine, probe } = probeEngine(generate);
  const platform = { ...platformWith(), httpClients: etcd };
  const life = new WorkerLife(engine, { platform, options: resolveOptions(OPTIONS, {}), log });
  life.begin();
  return { etcd, lines, life, probe };
}

/** Somebody revokes the lease, and etcd grants none any more. */
function loseForGood(etcd: FakeEtcd, id: bigint): void {
  const body = '{"error":"etcdserver: permission denied","code":7}';
  const refusal: EtcdMishap = { status: 403, contentType: "application/json", body };
  etcd.mishap = ({ path }) => path === "/v3/lease/grant" ? refusal : null;
  etcd.revoke(id);
}

test("a lease that is revoked comes back, and the worker was ready all the time; told to stop, it leaves with code 0", async () => {
  const { etcd, lines, life, probe } = begin(async function* () {});
  const { instanceId } = await life.ready;
  const before = etcd.entries;
  etcd.revoke(instanceId);
  await eventually("the loss to be noticed", () => lines.some((line) => line.includes("Lost the lease")));
  assert.equal(life.isReady, true);
  await eventually("the return", () => lines.some((line) => line.includes("Back in discovery")));
  assert.deepEqual([etcd.entries, etcd.leases, life.isReady], [before, [instanceId], true]);
  life.stop();
  const { exitCode } = await life.finished;
  assert.deepEqual([exitCode, probe.starts, etcd.keys, etcd.leases], [0, 1, [], []]);
});

test("refused for good: requests finish, drain and cleanup run, exit code 4", async () => {
  let finish!: () => void;
  const finishing = new Promise<void>((resolve) => finish = resolve);
  const { etcd, lines, life, probe } = begin(async function* () {
    yield chunk.tokens([1]);
    await finishing;
    yield chunk.stop();
  });
  const { instanceId } = await life.ready;
  assert.deepEqual(etcd.leases, [instanceId]);
  await using frontend = await openRawFrontend();
  const [, value] = etcd.entries.find(([key]) => key.startsWith("v1/instances/dynamo/backend/generate/"))!;
  const [address, ...path] = (decodeInstance(value).transport as { tcp: string }).tcp.split("/");
  const link = await frontend.dial(address!);
  link.write(frontend.frame(path.join("/"), { id: "r" }));
  const call = await frontend.call("r");
  await call.framed(2);

  loseForGood(etcd, instanceId);
  await eventually("the loss to be noticed", () => lines.some((line) => line.includes("Phase 2")));
  assert.equal(life.isReady, false);
  finish();
  const frames = read(await call.whole()) as { data?: { data?: { finish_reason?: string } } }[];
  assert.ok(frames.some((frame) => frame.data?.data?.finish_reason === "stop"), JSON.stringify(frames));
  const { exitCode, error } = await life.finished;
  assert.equal(exitCode, 4);
  assert.equal(error!.kind, "Disconnected");
  assert.match(error!.message, /^Lost the lease \d+ at etcd, and the worker's place in discovery with it/);
  assert.deepEqual([probe.drains, probe.cleanups, probe.open], [1, 1, 0]);
  assert.deepEqual(lines.filter((line) => / ERROR /.test(line)).length, 1, lines.join("\n"));
});

test("a failure of the process meanwhile outweighs the loss", async () => {
  const { etcd, life } = begin(async function* () {});
  const { instanceId } = await life.ready;
  loseForGood(etcd, instanceId);
  life.fail(new Error("the card fell off the bus"));
  const { exitCode, error } = await life.finished;
  assert.deepEqual([exitCode, /fell off the bus/.test(error!.message)], [4, true]);
});

test("a worker that etcd refuses does not start: code 1, CannotConnect", async () => {
  const refusal: EtcdMishap = { status: 200, contentType: "text/html", body: "<html>" };
  const { etcd, life, probe } = begin(async function* () {});
  etcd.mishap = () => refusal;
  const { exitCode, error } = await life.finished;
  assert.deepEqual([exitCode, error!.kind, probe.starts], [1, "CannotConnect", 0]);
});
