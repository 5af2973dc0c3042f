/** `ETCD_ENDPOINTS` and the variables beside it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type EtcdSettings, readEtcdServers } from "../../src/discovery/etcd_servers.ts";
import { createLog, SILENT } from "../../src/observe/log.ts";
import { encodeText } from "../../src/protocol/payload.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { MemoryFiles } from "../support/files.ts";

const PEM = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
const files = new MemoryFiles(new FakeClock());
await files.makeDirectory("/tls");
await files.write("/tls/ca.pem", encodeText(PEM));
await files.write("/tls/other", encodeText("hello"));

const read = (settings: Partial<EtcdSettings>) =>
  readEtcdServers({ etcdEndpoints: "http://localhost:2379", ...settings }, { files, log: SILENT });

const ENDPOINTS: readonly (readonly [string, readonly string[]])[] = [
  ["http://localhost:2379", ["http://localhost:2379"]],
  ["http://a:1,https://b:2", ["http://a:1", "https://b:2"]],
  [" http://a:1/ , http://a:1, ,b:2", ["http://a:1", "http://b:2"]],
  ["http://[::1]:2379", ["http://[::1]:2379"]],
];

for (const [given, origins] of ENDPOINTS) {
  test(`endpoints: ${JSON.stringify(given)}`, async () => {
    assert.deepEqual((await read({ etcdEndpoints: given })).origins, origins);
  });
}

const REFUSED: readonly (readonly [Partial<EtcdSettings>, RegExp])[] = [
  [{ etcdEndpoints: " , " }, /^ETCD_ENDPOINTS: no endpoint is named; write http:\/\/host:2379$/],
  [{ etcdEndpoints: "http://" }, /^ETCD_ENDPOINTS: http:\/\/ is no endpoint; write http:/],
  [{ etcdEndpoints: "ftp://a:1" }, /ftp:\/\/a:1 is no endpoint/],
  [{ etcdEndpoints: "http://a:1/v3" }, /http:\/\/a:1\/v3 is no endpoint/],
  [
    { etcdEndpoints: "http://me:secret@a:1" },
    /^ETCD_ENDPOINTS: http:\/\/a:1: user and password go into ETCD_AUTH_USERNAME/,
  ],
  [{ etcdUsername: "me" }, /^ETCD_AUTH_USERNAME is set without ETCD_AUTH_PASSWORD; etcd needs both$/],
  [{ etcdPassword: "me" }, /^ETCD_AUTH_PASSWORD is set without ETCD_AUTH_USERNAME/],
  [{ etcdTlsKey: PEM }, /^ETCD_AUTH_CLIENT_KEY is set without ETCD_AUTH_CLIENT_CERT/],
  [{ etcdTlsCa: "/tls/none" }, /^ETCD_AUTH_CA: neither PEM text nor a file that can be read \(ENOENT\)$/],
  [{ etcdTlsCa: "/tls/other" }, /^ETCD_AUTH_CA: there is no PEM text in \/tls\/other$/],
];

for (const [settings, message] of REFUSED) {
  test(`refused: ${JSON.stringify(settings).slice(0, 60)}`, async () => {
    await assert.rejects(read(settings), { kind: "InvalidArgument", message });
  });
}

test("PEM text, also with its line breaks spelled out, and a file are the same", async () => {
  for (const etcdTlsCa of [PEM, PEM.replaceAll("\n", "\\n"), "/tls/ca.pem"]) {
    const { tls, origins } = await read({ etcdTlsCa, etcdEndpoints: "a:1" });
    assert.deepEqual([tls, origins], [{ ca: PEM }, ["https://a:1"]]);
  }
});

test("a password and TLS go together; TLS settings for an endpoint without TLS are warned of", async () => {
  const lines: string[] = [];
  const log = createLog({ level: "debug", wallTime: () => 0, write: (line) => void lines.push(line) });
  const settings = { etcdUsername: "me", etcdPassword: "pw", etcdTlsCa: PEM, etcdTlsCert: PEM, etcdTlsKey: PEM };
  const servers = await readEtcdServers({ etcdEndpoints: "http://a:1", ...settings }, { files, log });
  assert.deepEqual(servers.user, { name: "me", password: "pw" });
  assert.deepEqual(servers.tls, { ca: PEM, cert: PEM, key: PEM });
  assert.match(lines.join("\n"), /http:\/\/ endpoints of etcd are not encrypted/);
});
