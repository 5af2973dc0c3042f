/** Records in etcd: what goes over the wire, what is done about lost answers, and what is left behind. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock } from "../support/fake_clock.ts";
import { FakeEtcd } from "../support/fake_etcd.ts";
import { CARD, ENDPOINT, makeEtcdRig, makeView } from "../support/etcd_rig.ts";
import { goldenText } from "../support/golden.ts";
import { pseudoRandom } from "../support/pseudo_random.ts";

/** The captured calls: path, body, and answers by their label. */
function captured(file = "etcd-gateway.txt"): { path: string; body: string; answers: string[] }[] {
  const found: { path: string; body: string; answers: string[] }[] = [];
  for (const line of goldenText(`discovery/${file}`).split("\n")) {
    const [, path, body] = /^POST (\S+) (\{.*?\})(?: {3}\(.*)?$/.exec(line) ?? [];
    if (path !== undefined) found.push({ path, body: body!, answers: [] });
    else if (line.startsWith("  ")) found.at(-1)!.answers.push(line.slice(line.indexOf("{")));
  }
  return found;
}

const K = btoa("v1/instances/ns/c/e/1f");
const V = btoa("{}");
const alike = (text: string) =>
  text.replaceAll(K, "K").replaceAll(V, "V").replaceAll(/"header":\{"cluster.*?\}/g, '"header":{...}')
    .replaceAll('"K"', "K").replaceAll('"V"', "V").trim();

test("calls are those that were captured", async () => {
  const { etcd, clock, open } = makeEtcdRig();
  const discovery = await open({ ttlSeconds: 4 });
  await discovery.put(ENDPOINT, "{}");
  await using _watch = await discovery.watch("v1/instances", () => {});
  await clock.advance(2000);
  await discovery.delete(ENDPOINT);
  await discovery[Symbol.asyncDispose]();
  const sent = new Map(etcd.received.map(({ path, body }) => [path, alike(JSON.stringify(body))]));
  for (const { path, body } of captured()) {
    if (path !== "/v3/watch") assert.equal(sent.get(path), body);
  }
  const { body } = captured().find(({ path }) => path === "/v3/watch")!;
  const bounds = body.replaceAll(/base64\("(.*?)"\)/g, (_all, text) => JSON.stringify(btoa(text)));
  assert.equal(sent.get("/v3/watch"), bounds.replace("}}", ',"start_revision":"3"}}'));
});

test("the etcd in memory answers as the real one did", async () => {
  const etcd = new FakeEtcd(new FakeClock());
  const client = etcd.open();
  const ask = async (path: string, body: string): Promise<string[]> => {
    const text = body.replaceAll(/:K\b/g, `:"${K}"`).replaceAll(/:V\b/g, `:"${V}"`)
      .replaceAll(/base64\("(.*?)"\)/g, (_all, part) => JSON.stringify(btoa(part)));
    const over = new AbortController();
    const answer = await client.send({
      method: "POST",
      url: `http://a${path}`,
      headers: {},
      body: text,
      signal: over.signal,
    });
    const parts: string[] = [];
    for await (const bytes of answer.body) {
      parts.push(alike(new TextDecoder().decode(bytes)));
      if (path !== "/v3/watch") continue;
      if (parts.length === 2) break;
      etcd.remove("v1/instances/ns/c/e/1f");
    }
    return parts;
  };
  for (const { path, body, answers } of captured()) {
    const isDelete = path === "/v3/kv/deleterange";
    if (isDelete) etcd.write("v1/instances/ns/c/e/1f", "{}");
    if (path === "/v3/lease/keepalive") {
      const lost = await ask(path, '{"ID":"99"}');
      assert.deepEqual([await ask(path, body), [lost[0]!.replace("99", "6168420797420696837")]].flat(), answers);
    } else if (path === "/v3/kv/txn") {
      assert.deepEqual([await ask(path, body), await ask(path, body)].flat(), answers);
    } else assert.deepEqual(await ask(path, body), answers);
  }
});

test("so it does about a lease that is taken under its old number", async () => {
  const client = new FakeEtcd(new FakeClock()).open();
  for (const { path, body, answers } of captured("etcd-lease-again.txt")) {
    const text = body.replaceAll(/:K\b/g, `:"${K}"`).replaceAll(/:V\b/g, `:"${V}"`);
    const { signal } = new AbortController();
    const { body: parts } = await client.send({
      method: "POST",
      url: `http://a${path}`,
      headers: {},
      body: text,
      signal,
    });
    for await (const bytes of parts) assert.deepEqual([alike(new TextDecoder().decode(bytes))], answers);
  }
});

test("an answer that was lost is no harm: the record is there once, and changes hands once", async () => {
  const { etcd, clock, open, calls } = makeEtcdRig();
  await using discovery = await open();
  for (const value of ["1", "2"]) {
    let isCut = false;
    etcd.mishap = ({ path }) => path !== "/v3/kv/txn" || isCut ? null : (isCut = true, "cut");
    const put = discovery.put(ENDPOINT, value);
    await clock.advance(1000);
    await put;
    assert.deepEqual(etcd.entries, [["v1/instances/ns/c/e/1f", value]]);
  }
  assert.equal(etcd.revision, 3n);
  assert.ok(calls("kv/txn").length > 4);
});

test("a change of a record of ours goes by its revision, and goes through though somebody else was quicker", async () => {
  const { etcd, open, calls, lines } = makeEtcdRig();
  await using discovery = await open();
  await discovery.put(CARD, "1");
  let hasMeddled = false;
  etcd.mishap = ({ body }) => {
    if (body.compare?.[0].target === "MOD" && !hasMeddled) etcd.write("v1/mdc/ns/c/e/1f", "meddled");
    hasMeddled ||= body.compare?.[0].target === "MOD";
    return null;
  };
  await discovery.put(CARD, "2");
  assert.deepEqual(etcd.entries, [["v1/mdc/ns/c/e/1f", "2"]]);
  assert.deepEqual(calls("kv/txn").map(({ body }) => body.compare[0].modRevision), [undefined, undefined, "2", "3"]);
  assert.match(lines.join("\n"), /record replaced: another one stood under its key/);
});

test("a put that etcd refuses fails with what, where and why; one that it cannot answer is given up in time", async () => {
  const { etcd, clock, open } = makeEtcdRig();
  await using discovery = await open();
  etcd.mishap = () => ({
    status: 403,
    contentType: "application/json",
    body: '{"error":"etcdserver: permission denied","code":7}',
  });
  await assert.rejects(discovery.put(ENDPOINT, "1"), {
    message:
      'Cannot publish v1/instances/ns/c/e/1f in etcd: http://a:2379: etcd says "etcdserver: permission denied": ' +
      "user (none) needs a role that may read and write the keys under v1/",
  });
  etcd.mishap = () => "leaderless";
  const put = assert.rejects(discovery.put(ENDPOINT, "1"), /no leader/);
  await clock.advance(10_000);
  await put;
  etcd.mishap = () => null;
});

test("a party that leaves revokes its lease, and leaves no timer, stream or client, also if etcd is gone", async () => {
  for (const mishap of [null, "refuse", "hang", "cut"] as const) {
    const { etcd, clock, open, lines } = makeEtcdRig();
    const discovery = await open();
    await discovery.put(ENDPOINT, "1");
    await discovery.watch("v1/instances", () => {});
    await clock.settle();
    etcd.mishap = () => mishap;
    const gone = discovery[Symbol.asyncDispose]();
    await clock.advance(5000);
    await gone;
    await clock.settle();
    const hasLeft = mishap === null || mishap === "cut";
    assert.deepEqual([etcd.clients, etcd.streams, etcd.keys.length], [0, 0, hasLeft ? 0 : 1], String(mishap));
    assert.equal(/Cannot revoke the lease/.test(lines.join("\n")), mishap !== null);
    assert.equal(clock.pendingTimers, hasLeft ? 0 : 1, "the lease's own, in etcd");
  }
});

test("a reader takes no lease and puts nothing", async () => {
  const { etcd, open } = makeEtcdRig();
  await using discovery = await open({ isReader: true });
  await assert.rejects(discovery.put(ENDPOINT, "1"), /opened to read/);
  etcd.write("v1/instances/ns/c/e/1f", "1");
  assert.deepEqual(await discovery.list("v1/instances"), [{ key: ENDPOINT, value: "1" }]);
  assert.deepEqual(etcd.leases, []);
});

test("whatever goes wrong for a while, in the end store and watch hold what was put", { timeout: 60_000 }, async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const { below } = pseudoRandom(seed);
    const happens = (percent: number) => below(100) < percent;
    const { etcd, clock, open, losses } = makeEtcdRig(["http://a:2379", "http://b:2379"]);
    await using writer = await open();
    await using reader = await open({ isReader: true });
    const view = makeView();
    await using _watch = await reader.watch("v1/instances", view.report);
    const mishaps = ["refuse", "cut", "leaderless", "hang"] as const;
    // A lease has only so many attempts; its own tests are elsewhere.
    etcd.mishap = ({ path }) => path !== "/v3/lease/keepalive" && happens(50) ? mishaps[below(4)]! : null;
    const wanted = new Map<string, string>();
    for (let step = 0; step < 20; step++) {
      const path = `ns/c/e/${below(4)}`;
      const key = { bucket: "v1/instances", path } as const;
      const isPut = happens(70);
      const change = isPut ? writer.put(key, String(step)) : writer.delete(key);
      const done = change.then(() => true, () => false);
      await clock.advance(below(3000));
      if (happens(20)) etcd.cutStreams(happens(50) ? '{"result":{"ev' : "");
      if (happens(10)) etcd.compact();
      await clock.advance(40_000);
      // What failed may have happened all the same.
      if (!await done) wanted.delete(path), await repair(() => writer.delete(key), clock);
      else isPut ? wanted.set(path, String(step)) : wanted.delete(path);
    }
    etcd.mishap = () => null;
    await clock.advance(30_000);
    const sorted = (records: Iterable<readonly [string, string]>) => [...records].sort(([a], [b]) => a < b ? -1 : 1);
    assert.deepEqual(losses, [], `seed ${seed}`);
    assert.deepEqual(
      etcd.entries,
      sorted(wanted).map(([path, value]) => [`v1/instances/${path}`, value]),
      `seed ${seed}`,
    );
    assert.deepEqual(sorted(view.records), sorted(wanted), `seed ${seed}`);
  }
});

async function repair(change: () => Promise<void>, clock: FakeClock): Promise<void> {
  for (let isDone = false; !isDone;) {
    const done = change().then(() => true, () => false);
    await clock.advance(40_000);
    isDone = await done;
  }
}
