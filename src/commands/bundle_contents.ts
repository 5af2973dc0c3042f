/**
 * What is in a bundle: how much of it is whose.
 *
 * @module
 */

/** A part of a bundle. */
export interface BundlePart {
  /** An npm package, or another owner. */
  readonly name: string;
  /** Its share. @unit characters */
  readonly size: number;
}

/** Bundlers of both runtimes write the path of a module above its code. */
const MODULE_LINE = /^\/\/ ((?:\S*\/)?[^\s/]+\.(?:[cm]?[jt]sx?|json))$/gm;

/**
 * Adds up what a bundle holds, the largest part first.
 *
 * @param ownerOf Names the owner of a path that lies in no npm package.
 */
export function bundleContents(bundle: string, ownerOf: (path: string) => string): BundlePart[] {
  const modules = [...bundle.matchAll(MODULE_LINE)];
  const sizes = new Map<string, number>();
  const add = (name: string, size: number) => sizes.set(name, (sizes.get(name) ?? 0) + size);
  modules.forEach(({ index, 1: path = "" }, i) => {
    add(packageOf(path) ?? ownerOf(path), (modules[i + 1]?.index ?? bundle.length) - index);
  });
  const rest = modules[0]?.index ?? bundle.length;
  if (rest > 0) add("helpers of the bundler", rest);
  return [...sizes].map(([name, size]) => ({ name, size })).sort((a, b) => b.size - a.size);
}

/** The npm package that a path lies in, be it in a `node_modules` or in Deno's cache. */
function packageOf(path: string): string | undefined {
  return [...path.matchAll(/(?:node_modules|\/npm\/[^/]+)\/((?:@[^/]+\/)?[^/.][^/]*)\//g)].at(-1)?.[1];
}
