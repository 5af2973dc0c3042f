/** The first call to etcd: how long it is repeated, and what is said when it is in vain. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EtcdMishap } from "../support/fake_etcd.ts";
import { ENDPOINT, makeEtcdRig } from "../support/etcd_rig.ts";

const USER = { name: "worker", password: "secret" };
const servers = (origins = ["http://a:2379"], user: typeof USER | null = null) => ({ origins, user, tls: {} });

test("attempts come after 1, 2, 4 … 30 seconds until the time is up, one line each", async () => {
  const { etcd, clock, open, lines, calls } = makeEtcdRig();
  const times: number[] = [];
  etcd.mishap = () => (times.push(clock.now()), "refuse");
  const opening = assert.rejects(open({ patienceMs: 100_000 }), {
    kind: "CannotConnect",
    message: "Cannot connect to etcd at http://a:2379: http://a:2379: nothing listens there; start etcd there, " +
      "or set ETCD_ENDPOINTS",
  });
  await clock.advance(100_000);
  await opening;
  assert.deepEqual(times.map((time) => time / 1000), [0, 1, 3, 7, 15, 31, 61, 91, 100]);
  const told = lines.filter((line) => line.includes("etcd is not there yet"));
  assert.equal(told.length, times.length - 1);
  assert.match(told[2]!, /trying again in 4 s .*endpoints="?http:\/\/a:2379"? .*nothing listens there.* left_s=97/);
  assert.deepEqual([etcd.clients, clock.pendingTimers, calls("lease/grant").length], [0, 0, 9]);
});

test("an attempt goes to every member; one that answers is enough", async () => {
  const { etcd, open, calls } = makeEtcdRig(["http://a:2379", "http://b:2379", "http://c:2379"]);
  etcd.mishap = ({ origin }) => origin.includes("c") ? null : "refuse";
  await using _discovery = await open({ patienceMs: 0 });
  assert.deepEqual(calls("lease/grant").map(({ origin }) => origin[7]), ["a", "b", "c"]);
});

test("a worker that is told to stop does not wait, not for an answer either", async () => {
  for (const mishap of ["refuse", "hang"] as const) {
    const { etcd, clock, open } = makeEtcdRig();
    etcd.mishap = () => mishap;
    const stop = new AbortController();
    const opening = assert.rejects(open({ signal: stop.signal }), /told to stop|nothing listens/);
    await clock.advance(500);
    stop.abort();
    await clock.settle();
    await opening;
    assert.deepEqual([etcd.clients, clock.pendingTimers], [0, 0]);
  }
});

const html = (status: number): EtcdMishap => ({ status, contentType: "text/html", body: "<html>\n <b>Hello</b>" });
const json = (status: number, error: object): EtcdMishap => ({
  status,
  contentType: "application/json",
  body: JSON.stringify(error),
});

/** What is refused is told at once, in words that say what to do. */
const REFUSALS: readonly (readonly [string, EtcdMishap, RegExp])[] = [
  [
    "not etcd",
    html(200),
    /this is not etcd \(HTTP status 200, text\/html: "<html> <b>Hello<\/b>"\): check ETCD_ENDPOINTS, and HTTP_PROXY/,
  ],
  ["a redirection", html(302), /this is not etcd \(HTTP status 302/],
  [
    "a gateway that is off",
    { status: 404, contentType: "text/plain", body: "404 page not found\n" },
    /its JSON gateway is off, or this is not etcd .*: start etcd without --enable-grpc-gateway=false$/,
  ],
  [
    "no user named",
    json(400, { error: "etcdserver: user name is empty", code: 3 }),
    /wants to know who you are; set ETCD_AUTH_USERNAME and _PASSWORD$/,
  ],
  ["no right", json(403, { error: "etcdserver: permission denied", code: 7 }), /user \(none\) needs a role/],
  ["JSON of another kind", json(200, [1]), /etcd granted no lease/],
  ["an error without a reason", json(400, { error: { grpc_code: 3 } }), /"no reason given"/],
];

for (const [name, mishap, said] of REFUSALS) {
  test(`refused at once: ${name}`, async () => {
    const { etcd, open, clock } = makeEtcdRig();
    etcd.mishap = () => mishap;
    await assert.rejects(open(), (error: Error) => said.test(error.message) || assert.fail(error.message));
    assert.deepEqual([etcd.received.length, etcd.clients, clock.pendingTimers], [1, 0, 0]);
  });
}

/** What may pass is tried again. */
const PASSING: readonly (readonly [string, EtcdMishap, RegExp])[] = [
  ["no leader", "leaderless", /no leader/],
  ["a proxy without a server", html(502), /it answers HTTP status 502/],
  ["no answer", "hang", /no answer within 5 s/],
  ["a broken connection", "cut", /connection reset/],
];

for (const [name, mishap, said] of PASSING) {
  test(`tried again: ${name}`, async () => {
    const { etcd, open, clock, lines } = makeEtcdRig();
    etcd.mishap = () => mishap;
    const opening = open();
    await clock.advance(5000);
    etcd.mishap = () => null;
    await clock.advance(20_000);
    await using _discovery = await opening;
    assert.match(lines.join("\n"), said);
  });
}

test("a user signs in once, and again when etcd has forgotten the token", async () => {
  const { etcd, open, calls } = makeEtcdRig();
  etcd.user = { ...USER, token: "t1" };
  await using discovery = await open({ servers: servers(undefined, USER) });
  await Promise.all([discovery.put(ENDPOINT, "1"), discovery.list("v1/mdc")]);
  assert.equal(calls("auth/authenticate").length, 1);
  etcd.user.token = "t2";
  await Promise.all([discovery.put(ENDPOINT, "2"), discovery.list("v1/mdc")]);
  assert.equal(calls("auth/authenticate").length, 2);
  assert.deepEqual(etcd.entries, [["v1/instances/ns/c/e/1f", "2"]]);
  assert.deepEqual(calls("auth/authenticate")[0]!.token, undefined);
});

test("a wrong password is told at once; a password that etcd does not want is told, and no harm", async () => {
  const { etcd, open, lines } = makeEtcdRig();
  etcd.user = { ...USER, password: "other", token: "t" };
  await assert.rejects(open({ servers: servers(undefined, USER) }), (error: Error) => {
    assert.match(error.message, /to user worker: check ETCD_AUTH_USERNAME and ETCD_AUTH_PASSWORD$/);
    assert.doesNotMatch(error.message, /secret/);
    return true;
  });
  etcd.user = null;
  await using discovery = await open({ servers: servers(undefined, USER) });
  await discovery.put(ENDPOINT, "1");
  assert.equal(lines.filter((line) => line.includes("ETCD_AUTH_USERNAME is of no use")).length, 1);
});

test("PEM text that the runtime cannot use is told as such", async () => {
  const { etcd, open } = makeEtcdRig();
  etcd.open = () => {
    throw new TypeError("bad PEM");
  };
  await assert.rejects(open(), {
    kind: "InvalidArgument",
    message: "ETCD_AUTH_CA and the like cannot be used: bad PEM",
  });
});
