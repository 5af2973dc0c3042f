/**
 * Random decisions that are the same for the same seed, and the same as the peer's.
 *
 * @module
 */

const WORDS = 16;
const DOUBLE_ROUNDS = 6;
const TWO_32 = 2 ** 32;
const SEED_MULTIPLIER = 6364136223846793005n;
const SEED_INCREMENT = 11634580027462260723n;
/** "expand 32-byte k" */
const CONSTANTS = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574];

/** Decides by chance. */
export interface Coin {
  /** True with this probability. */
  flip(probability: number): boolean;
}

/**
 * A coin over the ChaCha stream cipher with 12 rounds.
 *
 * @source rand 0.9, `StdRng`, `SeedableRng::seed_from_u64`, `Bernoulli`: the peer's generator
 */
export class ChachaCoin implements Coin {
  readonly #key = new Uint32Array(8);
  readonly #block = new Uint32Array(WORDS);
  #counter = 0;
  #used = WORDS;

  /** Begins a stream. */
  constructor(seed: number) {
    let state = BigInt(seed);
    for (let i = 0; i < this.#key.length; i++) {
      state = BigInt.asUintN(64, state * SEED_MULTIPLIER + SEED_INCREMENT);
      const mixed = Number(BigInt.asUintN(32, ((state >> 18n) ^ state) >> 27n));
      const turn = Number(state >> 59n);
      this.#key[i] = (mixed >>> turn) | (mixed << (-turn & 31));
    }
  }

  flip(probability: number): boolean {
    // A sure thing takes no number from the stream, an impossible one does.
    if (probability >= 1) return true;
    const low = this.#next();
    const high = this.#next();
    const scaled = probability * TWO_32;
    const limit = Math.floor(scaled);
    return high < limit || (high === limit && low < Math.floor((scaled - limit) * TWO_32));
  }

  #next(): number {
    if (this.#used === WORDS) {
      this.#fill();
      this.#used = 0;
    }
    return this.#block[this.#used++]!;
  }

  #fill(): void {
    const start = new Uint32Array(WORDS);
    start.set(CONSTANTS);
    start.set(this.#key, 4);
    start[12] = this.#counter++;
    const words = this.#block;
    words.set(start);
    for (let round = 0; round < DOUBLE_ROUNDS; round++) {
      for (let i = 0; i < 4; i++) quarterRound(words, i, 4 + i, 8 + i, 12 + i);
      for (let i = 0; i < 4; i++) quarterRound(words, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
    }
    for (let i = 0; i < WORDS; i++) words[i]! += start[i]!;
  }
}

function quarterRound(words: Uint32Array, a: number, b: number, c: number, d: number): void {
  step(words, a, b, d, 16);
  step(words, c, d, b, 12);
  step(words, a, b, d, 8);
  step(words, c, d, b, 7);
}

function step(words: Uint32Array, sum: number, addend: number, turned: number, by: number): void {
  words[sum]! += words[addend]!;
  const mixed = words[turned]! ^ words[sum]!;
  words[turned] = (mixed << by) | (mixed >>> (32 - by));
}
