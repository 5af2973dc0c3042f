/** The words for connections that do not come about, from what the runtimes say. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connectionFault } from "../../src/discovery/etcd_error.ts";

const URL_TEXT = "(https://127.0.0.1:2379/v3/lease/grant)";
const deno = (message: string) => new TypeError("fetch failed", { cause: new Error(message) });
const bun = (message: string, code: string) => Object.assign(new Error(message), { code });
const ADVICE = ": check ETCD_AUTH_CA, ETCD_AUTH_CLIENT_CERT and _KEY";

/** What Deno 2.9 and Bun 1.4 said of a real etcd. */
const FAULTS: readonly (readonly [Error, string])[] = [
  [
    deno(
      `error sending request for url ${URL_TEXT}: client error (Connect): tcp connect error: Connection refused (os error 111)`,
    ),
    "nothing listens there",
  ],
  [bun("Unable to connect. Is the computer able to access the url?", "ConnectionRefused"), "nothing listens there"],
  [
    bun("Was there a typo in the url or port?", "FailedToOpenSocket"),
    "its name leads nowhere, or nothing listens there",
  ],
  [
    deno(`error sending request for url ${URL_TEXT}: client error (Connect): dns error: failed to lookup address`),
    "its name leads nowhere, or nothing listens there",
  ],
  [
    deno(`error sending request for url ${URL_TEXT}: client error (Connect): invalid peer certificate: UnknownIssuer`),
    `no encrypted connection comes about (client error (Connect): invalid peer certificate: UnknownIssuer)${ADVICE}`,
  ],
  [
    bun("unable to verify the first certificate", "UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
    `no encrypted connection comes about (unable to verify the first certificate)${ADVICE}`,
  ],
  [
    bun("The socket connection was closed unexpectedly. For more information, pass `verbose: true`", "ECONNRESET"),
    "the connection broke off (The socket connection was closed unexpectedly.); does it want https://?",
  ],
  [new TypeError("the stream ended"), "the stream ended"],
];

for (const [error, words] of FAULTS) {
  test(`${(error.cause as Error | undefined)?.message ?? error.message} → ${words}`, () => {
    assert.equal(connectionFault(error), words);
  });
}
