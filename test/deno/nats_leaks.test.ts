/** A NATS plane leaves no socket and no timer behind; Deno's sanitizers look. */
import assert from "node:assert/strict";
import { openNats } from "../../src/event_plane/nats.ts";
import { SILENT } from "../../src/observe/log.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { openFakeNats } from "../support/fake_nats.ts";
import { bytes } from "../support/zmtp_peer.ts";
import { eventually } from "../support/worker_rig.ts";

const { clock, random, files } = realPlatform;

function open(port: number) {
  const auth = { kind: "token", token: "x" } as const;
  const servers = { addresses: [`127.0.0.1:${port}`], auth, tls: null };
  return openNats({ servers, patienceMs: 0, clock, random, files, log: SILENT });
}

const SCOPE = { kind: "namespace", name: "n" } as const;

Deno.test("a plane that was used", async () => {
  await using server = await openFakeNats();
  await using plane = await open(server.port);
  const publisher = await plane.publisher(SCOPE, "t");
  await using back = publisher.readBack();
  await back.begun;
  publisher.publish(bytes("x"));
  await back.message;
});

Deno.test("a plane whose server is gone", async () => {
  const server = await openFakeNats();
  await using plane = await open(server.port);
  const publisher = await plane.publisher(SCOPE, "t");
  publisher.publish(bytes("x"));
  await server.got(1);
  await server[Symbol.asyncDispose]();
  await using back = publisher.readBack();
  await eventually("the loss", () => back.fault !== null);
});

Deno.test("a plane that could not be opened", async () => {
  const server = await openFakeNats();
  await server[Symbol.asyncDispose]();
  await assert.rejects(open(server.port), { kind: "CannotConnect" });
});
