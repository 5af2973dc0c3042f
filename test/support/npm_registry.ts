/**
 * A registry that serves one packed package of a scope; everything else comes from where it always does.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

/** A running registry. */
export interface NpmRegistry extends AsyncDisposable {
  /** The line of `.npmrc` that sends a scope here. */
  readonly npmrc: string;
}

/** Serves a tarball as the only version of its package. */
export async function startNpmRegistry(tarball: string): Promise<NpmRegistry> {
  const bytes = readFileSync(tarball);
  const manifest = JSON.parse(
    execFileSync("tar", ["-xzOf", tarball, "package/package.json"], { encoding: "utf8" }),
  ) as { name: string; version: string };
  const { name, version } = manifest;
  const digest = (algorithm: string, encoding: "hex" | "base64") =>
    createHash(algorithm).update(bytes).digest(encoding);
  let origin = "";
  const server = createServer((request, response) => {
    if (request.url === "/package.tgz") return void response.end(bytes);
    if (decodeURIComponent(request.url ?? "") !== `/${name}`) return void response.writeHead(404).end("{}");
    const dist = {
      tarball: `${origin}/package.tgz`,
      shasum: digest("sha1", "hex"),
      integrity: `sha512-${digest("sha512", "base64")}`,
    };
    response.setHeader("content-type", "application/json");
    response.end(
      JSON.stringify({ name, "dist-tags": { latest: version }, versions: { [version]: { ...manifest, dist } } }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  origin = `http://127.0.0.1:${port}`;
  return {
    npmrc: `${name.split("/")[0]}:registry=${origin}/\n`,
    [Symbol.asyncDispose]: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}
