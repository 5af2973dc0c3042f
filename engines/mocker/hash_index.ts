/**
 * From 64-bit hashes to small integers, without an object per entry.
 *
 * @module
 */

const EMPTY = -1;

/** A hash table whose keys lie in two arrays that somebody else fills; a key is at the place its value says. */
export class HashIndex {
  readonly #low: Uint32Array;
  readonly #high: Uint32Array;
  readonly #slots: Int32Array;
  readonly #mask: number;
  #size = 0;

  /**
   * Makes an empty table.
   *
   * @param low Low halves of the keys by value; its length is the greatest number of values.
   * @param high High halves.
   */
  constructor(low: Uint32Array, high: Uint32Array) {
    this.#low = low;
    this.#high = high;
    let size = 16;
    while (size < 2 * low.length) size *= 2;
    this.#slots = new Int32Array(size).fill(EMPTY);
    this.#mask = size - 1;
  }

  /** How many values it holds. */
  get size(): number {
    return this.#size;
  }

  /** The value of a key, or -1. */
  get(low: number, high: number): number {
    const slots = this.#slots;
    for (let slot = low & this.#mask;; slot = (slot + 1) & this.#mask) {
      const value = slots[slot]!;
      if (value === EMPTY || (this.#low[value] === low && this.#high[value] === high)) return value;
    }
  }

  /** Adds a value whose key is already in the arrays and not in the table. */
  add(value: number): void {
    let slot = this.#low[value]! & this.#mask;
    while (this.#slots[slot] !== EMPTY) slot = (slot + 1) & this.#mask;
    this.#slots[slot] = value;
    this.#size++;
  }

  /** Lets another value stand for the key of `value`; both have that key. */
  replace(value: number, by: number): void {
    this.#slots[this.#slotOf(value)] = by;
  }

  /** Takes a value out; its key must still be in the arrays. */
  delete(value: number): void {
    const slots = this.#slots;
    let hole = this.#slotOf(value);
    for (let slot = (hole + 1) & this.#mask; slots[slot] !== EMPTY; slot = (slot + 1) & this.#mask) {
      const home = this.#low[slots[slot]!]! & this.#mask;
      // An entry may move into the hole unless it would come to lie before its home.
      if (((slot - home) & this.#mask) >= ((slot - hole) & this.#mask)) {
        slots[hole] = slots[slot]!;
        hole = slot;
      }
    }
    slots[hole] = EMPTY;
    this.#size--;
  }

  #slotOf(value: number): number {
    let slot = this.#low[value]! & this.#mask;
    while (this.#slots[slot] !== value) {
      if (this.#slots[slot] === EMPTY) throw new RangeError(`Cannot find block ${value} in the index`);
      slot = (slot + 1) & this.#mask;
    }
    return slot;
  }
}
