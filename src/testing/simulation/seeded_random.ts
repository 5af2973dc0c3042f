/**
 * Chance that can be had again.
 *
 * @module
 */
import type { Random } from "../../platform/platform.ts";

/**
 * Numbers that follow from a seed, the same on every runtime.
 *
 * @source Small Fast Counter (sfc32), PractRand
 */
export class SeededRandom implements Random {
  readonly #seed: string;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** Makes the source of a seed. */
  constructor(seed: string | number) {
    this.#seed = String(seed);
    const mix = mixer(this.#seed);
    [this.#a, this.#b, this.#c] = [mix(), mix(), mix()];
    for (let i = 0; i < 12; i++) this.#u32();
  }

  /** A source of its own for a part of the world, so that what one part draws does not change what another draws. */
  stream(name: string): SeededRandom {
    return new SeededRandom(`${this.#seed}/${name}`);
  }

  /** @inheritDoc */
  number(): number {
    return (this.#u32() * 2 ** 21 + (this.#u32() >>> 11)) / 2 ** 53;
  }

  /** @inheritDoc */
  u64(): bigint {
    return (BigInt(this.#u32()) << 32n) | BigInt(this.#u32());
  }

  /** @inheritDoc */
  uuid(): string {
    const digits = [this.u64(), this.u64()].map((half) => half.toString(16).padStart(16, "0")).join("");
    const variant = "89ab"[this.#u32() & 3];
    return [
      digits.slice(0, 8),
      digits.slice(8, 12),
      `4${digits.slice(13, 16)}`,
      `${variant}${digits.slice(17, 20)}`,
      digits.slice(20),
    ].join("-");
  }

  /** A uniform number from `min` up to, but not including, `max`. */
  between(min: number, max: number): number {
    return min + this.number() * (max - min);
  }

  /** A uniform integer from `min` to `max`, both included. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.number() * (max - min + 1));
  }

  /** Whether something happens that happens in this share of all cases. */
  chance(share: number): boolean {
    return this.number() < share;
  }

  /** One of the items. */
  pick<T>(items: readonly T[]): T {
    return items[this.integer(0, items.length - 1)]!;
  }

  /** One of the keys, each as often as its weight says. */
  weighted<K extends string>(weights: Readonly<Partial<Record<K, number>>>): K {
    const entries = Object.entries(weights) as [K, number][];
    let left = this.number() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [key, weight] of entries) {
      if ((left -= weight) < 0) return key;
    }
    return entries.at(-1)![0];
  }

  #u32(): number {
    const sum = (this.#a + this.#b + this.#counter++) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum | 0;
    return sum >>> 0;
  }
}

/** Spreads a text over as many 32-bit numbers as are asked for. @source MurmurHash3, its mixing and final steps */
function mixer(text: string): () => number {
  let hash = 1779033703 ^ text.length;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 3432918353);
    hash = (hash << 13) | (hash >>> 19);
  }
  return () => {
    hash = Math.imul(hash ^ (hash >>> 16), 2246822507);
    hash = Math.imul(hash ^ (hash >>> 13), 3266489909);
    return hash ^= hash >>> 16;
  };
}
