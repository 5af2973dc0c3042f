import assert from "node:assert/strict";
import { test } from "node:test";
import { type NatsSettings, readNatsServers } from "../../src/nats/servers.ts";

function read(natsServer: string, more: Partial<NatsSettings> = {}) {
  return readNatsServers({ natsServer, natsTlsInsecure: false, ...more });
}

test("several servers, with and without ports", () => {
  const { addresses, tls } = read("nats://a:4333, nats://b,nats://[::1]:80,nats://10.0.0.1:80");
  assert.deepEqual(addresses, ["a:4333", "b:4222", "[::1]:80", "10.0.0.1:80"]);
  assert.equal(tls, null);
});

const given = {
  natsUsername: "u",
  natsPassword: "p",
  natsToken: "t",
  natsNkey: "SU",
  natsCredentialsFile: "/c",
};

test("who the worker is: the URL, then the variables in their order, then user and user", () => {
  const { natsUsername: _u, ...noUser } = given;
  const { natsToken: _t, ...noToken } = noUser;
  const { natsNkey: _n, ...noNkey } = noToken;
  assert.deepEqual(read("nats://me:p%40ss@a", given).auth, { kind: "password", user: "me", password: "p@ss" });
  assert.deepEqual(read("nats://a,nats://secret@b").auth, { kind: "token", token: "secret" });
  assert.deepEqual(read("nats://a", given).auth, { kind: "password", user: "u", password: "p" });
  assert.deepEqual(read("nats://a", noUser).auth, { kind: "token", token: "t" });
  assert.deepEqual(read("nats://a", noToken).auth, { kind: "nkey", seed: "SU" });
  assert.deepEqual(read("nats://a", noNkey).auth, { kind: "credentials", file: "/c" });
  assert.deepEqual(read("nats://a").auth, { kind: "password", user: "user", password: "user" });
});

test("TLS belongs to tls://, and to nothing else", () => {
  assert.deepEqual(read("tls://a").tls, { isInsecure: false });
  assert.deepEqual(read("tls://a", { natsTlsCaFile: "/ca", natsTlsInsecure: true }).tls, {
    caFile: "/ca",
    isInsecure: true,
  });
  for (const more of [{ natsTlsCaFile: "/ca" }, { natsTlsInsecure: true }]) {
    assert.throws(() => read("nats://a", more), /NATS_TLS_\* needs tls:\/\//);
  }
});

for (const bad of ["a:4222", "http://a", "nats://", "nats://a:x", "nats://a,,nats://b", "nats://me:secret@a:99999"]) {
  test(`${bad} is refused, without its password`, () => {
    assert.throws(
      () => read(bad),
      (error: Error) => /NATS_SERVER/.test(error.message) && !/secret/.test(error.message),
    );
  });
}

test("servers are either all encrypted or none", () => {
  assert.throws(() => read("nats://a,tls://b"), /either nats:\/\/ or tls:\/\//);
});
