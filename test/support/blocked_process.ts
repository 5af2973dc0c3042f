/**
 * A process with a status server behind a watchdog thread, whose event loop blocks on request until a file appears: a
 * test then sees the thread answer for as long as it likes, whatever the time.
 *
 * Arguments: the file, then limits in milliseconds: liveness, exit. It prints `LISTENING host:port`.
 *
 * @module
 */
import { existsSync } from "node:fs";
import process from "node:process";
import { EPOCH } from "../../src/platform/platform.ts";
import { realPlatform } from "../../src/platform/real.ts";

const [file = "", limitMs = "0", exitMs = "0", counts = "true"] = process.argv.slice(2);
const { http, watchdog } = realPlatform;

const backend = await http.serve({ host: "127.0.0.1", port: 0 }, async (request) => {
  const { pathname } = new URL(request.url);
  if (pathname === "/block") block();
  return new Response(`${request.method} ${pathname} ${await request.text()}`);
});
const thread = await watchdog!.start();
const { host, port } = await thread.serve({
  address: { host: "127.0.0.1", port: 0 },
  backend: backend.address,
  maxBodyBytes: 1024,
  livePath: "/live",
  healthPath: "/health",
  limitMs: Number(limitMs),
  patienceMs: 1000,
  exitMs: Number(exitMs),
  exitCode: 4,
  lastWords: `${EPOCH} ERROR blocked for good`,
  uptimeMs: 0,
  state: () => ({ ready: true, endpoints: { generate: "ready" }, counts: counts === "true" }),
  lost: (error) => console.log(`LOST ${error.message}`),
});
console.log(`LISTENING ${host}:${port}`);

function block(): void {
  console.log("BLOCKED");
  while (!existsSync(file)) { /* nothing else runs */ }
}
