import assert from "node:assert/strict";
import { test } from "node:test";
import { agreeOn, encodeGreeting, GREETING_BYTES, GreetingDecoder } from "../../src/zmtp/greeting.ts";
import { bytes, unhex } from "../support/zmtp_peer.ts";

test("a greeting in any pieces is read, and no more than it", () => {
  const greeting = { major: 3, minor: 1, mechanism: "NULL" };
  const stream = new Uint8Array([...encodeGreeting(greeting), 4, 5, 6]);
  for (const step of [1, 7, 10, 63, 64, 67]) {
    const decoder = new GreetingDecoder();
    let taken = 0;
    for (let at = 0; at < stream.length; at += step) {
      assert.equal(decoder.greeting === null, taken < GREETING_BYTES);
      taken += decoder.push(stream.subarray(at, at + step));
    }
    assert.equal(taken, GREETING_BYTES);
    assert.deepEqual(decoder.greeting, greeting);
  }
});

const REFUSED: readonly [what: string, begin: Uint8Array, why: RegExp][] = [
  ["HTTP", bytes("G"), /no ZMTP, or version 1/],
  ["ZMTP 1.0, anonymous", unhex("01"), /no ZMTP, or version 1/],
  ["ZMTP 1.0, with a long identity", unhex("ff000000000000000500"), /no ZMTP, or version 1/],
  ["ZMTP 1.0 of libzmq 3", unhex("ff00000000000000017f00"), /ZMTP 1;/],
  ["ZMTP 2.0", unhex("ff00000000000000017f01"), /ZMTP 2; 3\.0 or later is needed/],
];

for (const [what, begin, why] of REFUSED) {
  test(`${what} is refused as soon as it shows`, () => {
    const decoder = new GreetingDecoder();
    decoder.push(begin.subarray(0, -1));
    assert.throws(() => decoder.push(begin.subarray(-1)), (error: Error & { kind?: string }) => {
      assert.equal(error.kind, "unsupported");
      assert.match(error.message, why);
      return true;
    });
  });
}

test("agreeOn() takes the lower version, and NULL only", () => {
  const minor = (major: number, minor: number) => agreeOn({ major, minor, mechanism: "NULL" }).minor;
  assert.deepEqual([minor(3, 0), minor(3, 1), minor(3, 2), minor(4, 0)], [0, 1, 1, 1]);
  for (const mechanism of ["PLAIN", "CURVE", ""]) {
    assert.throws(() => agreeOn({ major: 3, minor: 1, mechanism }), (error: Error & { kind?: string }) => {
      assert.equal(error.kind, "unsupported");
      assert.match(error.message, new RegExp(`wants ${mechanism} security; only NULL`));
      return true;
    });
  }
});
