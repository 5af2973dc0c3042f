import assert from "node:assert/strict";
import { test } from "node:test";
import { forcedDpRank, offsetEndpointPort, validateDpRank } from "@stator/worker";
import { parseRequest } from "../../src/protocol/request.ts";

const RANKS = { dataParallelStartRank: 2, dataParallelSize: 4 };

test("forcedDpRank() is what the router chose", () => {
  const rank = (routing: object) => forcedDpRank(parseRequest({ token_ids: [1], ...routing }));
  assert.deepEqual([{ routing: { dp_rank: 3 } }, { routing: { dp_rank: 0 } }, { routing: {} }, {}].map(rank), [
    ...[3, 0, null, null],
  ]);
});

test("validateDpRank() lets ranks of this worker pass and warns of others", () => {
  const warnings: string[] = [];
  const valid = [2, 5, 1, 6, null].map((rank) => validateDpRank(rank, RANKS, (message) => warnings.push(message)));
  assert.deepEqual(valid, [2, 5, null, null, null]);
  assert.deepEqual(warnings.map((warning) => /rank (\d) *, but this worker has ranks 2 to 5/.exec(warning)?.[1]), [
    "1",
    "6",
  ]);
});

test("validateDpRank() leaves an engine of one rank alone", () => {
  const warn = () => assert.fail("nothing to warn of");
  assert.deepEqual([validateDpRank(0, {}, warn), validateDpRank(3, { dataParallelSize: 1 }, warn)], [null, null]);
});

test("offsetEndpointPort() counts ports", () => {
  const found = ["tcp://*:5557", "tcp://127.0.0.1:5557", "tcp://[::1]:5557"].map((each) => offsetEndpointPort(each, 2));
  assert.deepEqual(found, ["tcp://*:5559", "tcp://127.0.0.1:5559", "tcp://[::1]:5559"]);
  assert.equal(offsetEndpointPort("tcp://host:1", 0), "tcp://host:1");
});

for (const endpoint of ["tcp://host", "tcp://host:*", "ipc:///tmp/kv", "tcp://host:65535"]) {
  test(`offsetEndpointPort() cannot count up from ${endpoint}`, () => {
    assert.throws(() => offsetEndpointPort(endpoint, 1), { name: "RangeError", message: /Cannot count 1 ports up/ });
  });
}
