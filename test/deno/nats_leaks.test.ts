/** A NATS plane leaves no socket and no timer behind; Deno's sanitizers look. */
import assert from "node:assert/strict";
import { openNats } from "../../src/event_plane/nats.ts";
import { SILENT } from "../../src/observe/log.ts";
import { realPlatform } from "../../src/platform/real.ts";
import { openNatsLink } from "../../src/nats/link.ts";
import { openNatsRequestPlane } from "../../src/request_plane/nats.ts";
import { natsAt, openFakeNats } from "../support/fake_nats.ts";
import { bytes } from "../support/zmtp_peer.ts";
import { eventually } from "../support/worker_rig.ts";

const { clock, random } = realPlatform;

async function open(port: number) {
  const link = await openNatsLink({ ...natsAt(port), log: SILENT });
  const plane = openNats({ link, clock, random, log: SILENT });
  const requests = openNatsRequestPlane({ link, clock, log: SILENT });
  return {
    plane,
    requests,
    async [Symbol.asyncDispose]() {
      await plane[Symbol.asyncDispose]();
      await requests[Symbol.asyncDispose]();
      await link[Symbol.asyncDispose]();
    },
  };
}

const SCOPE = { kind: "namespace", name: "n" } as const;

Deno.test("a plane that was used", async () => {
  await using server = await openFakeNats();
  await using opened = await open(server.port);
  const { plane } = opened;
  const publisher = await plane.publisher(SCOPE, "t");
  await using back = publisher.readBack();
  await back.begun;
  publisher.publish(bytes("x"));
  await back.message;
});

Deno.test("an endpoint that was served, on a server that stays and on one that goes", async () => {
  const server = await openFakeNats();
  await using opened = await open(server.port);
  const { requests } = opened;
  const name = { namespace: "n", component: "c", endpoint: "one" };
  const one = await requests.serve(name, 1n, () => null);
  await using _two = await requests.serve({ ...name, endpoint: "two" }, 1n, () => null);
  await one[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

Deno.test("a plane whose server is gone", async () => {
  const server = await openFakeNats();
  await using opened = await open(server.port);
  const { plane } = opened;
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
