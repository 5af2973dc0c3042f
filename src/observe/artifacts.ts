/**
 * The model files that a worker serves to frontends.
 *
 * @module
 */

/** Files by URL path. */
export class Artifacts {
  readonly #files = new Map<string, () => Promise<Uint8Array>>();

  /**
   * Serves a file as `<prefix>/<name>` until disposed.
   *
   * @param prefix `/v1/metadata/<namespace>/<component>/<endpoint>/<slug>/<suffix>`
   * @param read Called for each request.
   */
  host(prefix: string, name: string, read: () => Promise<Uint8Array>): Disposable {
    const path = `${prefix}/${name}`;
    this.#files.set(path, read);
    return {
      [Symbol.dispose]: () => {
        // Hosted anew meanwhile: that one has its own owner.
        if (this.#files.get(path) === read) this.#files.delete(path);
      },
    };
  }

  /** The reader of a path whose segments are decoded. */
  find(path: string): (() => Promise<Uint8Array>) | undefined {
    return this.#files.get(path);
  }
}
