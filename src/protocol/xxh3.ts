/**
 * XXH3, the 64-bit variant with a 64-bit seed.
 *
 * Numbers are kept as two 32-bit halves, since a `bigint` per step would cost more than the hash itself.
 *
 * @source xxHash 0.8, `xxhash.h`: `XXH3_64bits_withSeed`
 * @module
 */

/** The default secret. */
const SECRET = new DataView(
  Uint8Array.from(
    [
      "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f",
      "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c",
      "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8",
      "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364",
      "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e",
      "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e",
    ].join("").match(/../g)!,
    (byte) => parseInt(byte, 16),
  ).buffer,
);
const SECRET_BYTES = 192;
/** Where the last 16 bytes of an input of 129 to 240 bytes find their key. */
const LAST_KEY = 119;
const STRIPE_BYTES = 64;
/** Stripes of a long input between two scrambles. */
const STRIPES_PER_ROUND = 16;
const TWO_32 = 2 ** 32;

const PRIME32_1 = 0x9e3779b1 | 0;
const PRIME64_1_LOW = 0x85ebca87 | 0;
const PRIME64_1_HIGH = 0x9e3779b1 | 0;
const PRIME64_2_LOW = 0x27d4eb4f;
const PRIME64_2_HIGH = 0xc2b2ae3d | 0;
const PRIME64_3_LOW = 0x9e3779f9 | 0;
const PRIME64_3_HIGH = 0x165667b1;
const PRIME_MX1_LOW = 0x9e3779f9 | 0;
const PRIME_MX1_HIGH = 0x16566791;
const PRIME_MX2_LOW = 0x1e98df25;
const PRIME_MX2_HIGH = 0x9fb21c65 | 0;
/** The eight accumulators of a long input at its start, each low half first. */
const FIRST_LANES = new Int32Array([
  ...[0xc2b2ae3d, 0, 0x85ebca87, 0x9e3779b1, 0x27d4eb4f, 0xc2b2ae3d, 0x9e3779f9, 0x165667b1],
  ...[0xc2b2ae63, 0x85ebca77, 0x85ebca77, 0, 0x165667c5, 0x27d4eb2f, 0x9e3779b1, 0],
]);

/** The number being worked on, low half first. Nothing here is interrupted, so one serves all. */
const H = new Int32Array(2);

/** XXH3-64 with one seed. */
export class Xxh3 {
  /** The secret with the seed mixed in, which inputs above 16 bytes read. */
  readonly #keys: DataView;
  /** The parts of it that only inputs of 129 to 240 bytes read, which lie askew in the secret. */
  readonly #askewKeys: DataView;
  readonly #seedLow: number;
  readonly #seedHigh: number;
  readonly #lanes = new Int32Array(16);

  /** Prepares hashing with a seed; of a wider one the low 64 bits count. */
  constructor(seed: bigint) {
    this.#seedLow = Number(BigInt.asUintN(32, seed)) | 0;
    this.#seedHigh = Number(BigInt.asUintN(32, seed >> 32n)) | 0;
    this.#keys = seededKeys(Array.from({ length: SECRET_BYTES / 16 }, (_, i) => 16 * i), seed);
    this.#askewKeys = seededKeys([...Array.from({ length: 7 }, (_, i) => 16 * i + 3), LAST_KEY], seed);
  }

  /** The hash of bytes. */
  hash(bytes: Uint8Array): bigint {
    const result = new BigUint64Array(1);
    const input = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.hashInto(input, 0, bytes.length, new Int32Array(result.buffer), 0);
    return result[0]!;
  }

  /** Writes the hash of `length` bytes at `start` of `input` to two elements of `out`, low half first. */
  hashInto(input: DataView, start: number, length: number, out: Int32Array, at: number): void {
    if (length > 240) this.#long(input, start, length);
    else if (length > 128) this.#upTo240(input, start, length);
    else if (length > 16) this.#upTo128(input, start, length);
    else if (length > 8) this.#upTo16(input, start, length);
    else if (length > 3) this.#upTo8(input, start, length);
    else this.#upTo3(input, start, length);
    out[at] = H[0]!;
    out[at + 1] = H[1]!;
  }

  #upTo3(input: DataView, start: number, length: number): void {
    if (length === 0) {
      H[0] = this.#seedLow ^ word(56) ^ word(64);
      H[1] = this.#seedHigh ^ word(60) ^ word(68);
    } else {
      const first = input.getUint8(start);
      const middle = input.getUint8(start + (length >> 1));
      const last = input.getUint8(start + length - 1);
      H[0] = word(0) ^ word(4);
      H[1] = 0;
      add(this.#seedLow, this.#seedHigh);
      H[0] = H[0]! ^ (first << 16) ^ (middle << 24) ^ last ^ (length << 8);
    }
    shiftXor(33);
    multiply(PRIME64_2_LOW, PRIME64_2_HIGH);
    shiftXor(29);
    multiply(PRIME64_3_LOW, PRIME64_3_HIGH);
    shiftXor(32);
  }

  #upTo8(input: DataView, start: number, length: number): void {
    H[0] = word(8) ^ word(16);
    H[1] = word(12) ^ word(20);
    subtract(this.#seedLow, this.#seedHigh ^ swap(this.#seedLow));
    const low = H[0]! ^ input.getInt32(start + length - 4, true);
    const high = H[1]! ^ input.getInt32(start, true);
    // Rotations by 49 and by 24.
    H[0] = low ^ ((high << 17) | (low >>> 15)) ^ ((low << 24) | (high >>> 8));
    H[1] = high ^ ((low << 17) | (high >>> 15)) ^ ((high << 24) | (low >>> 8));
    multiply(PRIME_MX2_LOW, PRIME_MX2_HIGH);
    const shifted = (H[1]! >>> 3) + length;
    H[0] = H[0]! ^ shifted;
    multiply(PRIME_MX2_LOW, PRIME_MX2_HIGH);
    shiftXor(28);
  }

  #upTo16(input: DataView, start: number, length: number): void {
    const end = start + length;
    H[0] = word(24) ^ word(32);
    H[1] = word(28) ^ word(36);
    add(this.#seedLow, this.#seedHigh);
    const low = H[0]! ^ input.getInt32(start, true);
    const high = H[1]! ^ input.getInt32(start + 4, true);
    H[0] = word(40) ^ word(48);
    H[1] = word(44) ^ word(52);
    subtract(this.#seedLow, this.#seedHigh);
    const otherLow = H[0]! ^ input.getInt32(end - 8, true);
    const otherHigh = H[1]! ^ input.getInt32(end - 4, true);
    H[0] = length;
    H[1] = 0;
    add(swap(high), swap(low));
    add(otherLow, otherHigh);
    addFolded(low, high, otherLow, otherHigh);
    avalanche();
  }

  #upTo128(input: DataView, start: number, length: number): void {
    const end = start + length;
    const keys = this.#keys;
    startFromLength(length);
    if (length > 96) {
      mix16(input, start + 48, keys, 96);
      mix16(input, end - 64, keys, 112);
    }
    if (length > 64) {
      mix16(input, start + 32, keys, 64);
      mix16(input, end - 48, keys, 80);
    }
    if (length > 32) {
      mix16(input, start + 16, keys, 32);
      mix16(input, end - 32, keys, 48);
    }
    mix16(input, start, keys, 0);
    mix16(input, end - 16, keys, 16);
    avalanche();
  }

  #upTo240(input: DataView, start: number, length: number): void {
    startFromLength(length);
    for (let at = 0; at < 128; at += 16) mix16(input, start + at, this.#keys, at);
    avalanche();
    for (let at = 128; at + 16 <= length; at += 16) mix16(input, start + at, this.#askewKeys, at - 128);
    mix16(input, start + length - 16, this.#askewKeys, 112);
    avalanche();
  }

  #long(input: DataView, start: number, length: number): void {
    const lanes = this.#lanes;
    const keys = this.#keys;
    lanes.set(FIRST_LANES);
    const stripes = Math.floor((length - 1) / STRIPE_BYTES);
    for (let stripe = 0; stripe < stripes; stripe++) {
      const place = stripe % STRIPES_PER_ROUND;
      accumulate(lanes, input, start + stripe * STRIPE_BYTES, keys, 8 * place);
      if (place === STRIPES_PER_ROUND - 1) scramble(lanes, keys);
    }
    accumulate(lanes, input, start + length - STRIPE_BYTES, keys, SECRET_BYTES - STRIPE_BYTES - 7);
    startFromLength(length);
    for (let lane = 0; lane < 16; lane += 4) {
      const key = 11 + 4 * lane;
      addFolded(
        lanes[lane]! ^ keys.getInt32(key, true),
        lanes[lane + 1]! ^ keys.getInt32(key + 4, true),
        lanes[lane + 2]! ^ keys.getInt32(key + 8, true),
        lanes[lane + 3]! ^ keys.getInt32(key + 12, true),
      );
    }
    avalanche();
  }
}

/** 16 bytes of the secret from each place, with the seed added to the first half and taken from the second. */
function seededKeys(places: readonly number[], seed: bigint): DataView {
  const keys = new DataView(new ArrayBuffer(16 * places.length));
  for (const [i, place] of places.entries()) {
    keys.setBigUint64(16 * i, SECRET.getBigUint64(place, true) + seed, true);
    keys.setBigUint64(16 * i + 8, SECRET.getBigUint64(place + 8, true) - seed, true);
  }
  return keys;
}

function word(place: number): number {
  return SECRET.getInt32(place, true);
}

function startFromLength(length: number): void {
  H[0] = length;
  H[1] = 0;
  multiply(PRIME64_1_LOW, PRIME64_1_HIGH);
}

function mix16(input: DataView, at: number, keys: DataView, key: number): void {
  addFolded(
    input.getInt32(at, true) ^ keys.getInt32(key, true),
    input.getInt32(at + 4, true) ^ keys.getInt32(key + 4, true),
    input.getInt32(at + 8, true) ^ keys.getInt32(key + 8, true),
    input.getInt32(at + 12, true) ^ keys.getInt32(key + 12, true),
  );
}

function accumulate(lanes: Int32Array, input: DataView, start: number, keys: DataView, key: number): void {
  for (let lane = 0; lane < 16; lane += 2) {
    const low = input.getInt32(start + 4 * lane, true);
    const high = input.getInt32(start + 4 * lane + 4, true);
    const keyedLow = low ^ keys.getInt32(key + 4 * lane, true);
    const keyedHigh = high ^ keys.getInt32(key + 4 * lane + 4, true);
    addToLane(lanes, lane ^ 2, low, high);
    addToLane(lanes, lane, Math.imul(keyedLow, keyedHigh), highProduct(keyedLow, keyedHigh));
  }
}

function addToLane(lanes: Int32Array, lane: number, low: number, high: number): void {
  const sum = (lanes[lane]! + low) | 0;
  lanes[lane] = sum;
  lanes[lane + 1] = (lanes[lane + 1]! + high + (sum >>> 0 < low >>> 0 ? 1 : 0)) | 0;
}

function scramble(lanes: Int32Array, keys: DataView): void {
  for (let lane = 0; lane < 16; lane += 2) {
    const key = SECRET_BYTES - STRIPE_BYTES + 4 * lane;
    const high = lanes[lane + 1]!;
    const low = lanes[lane]! ^ (high >>> 15) ^ keys.getInt32(key, true);
    const keyedHigh = high ^ keys.getInt32(key + 4, true);
    lanes[lane] = Math.imul(low, PRIME32_1);
    lanes[lane + 1] = (highProduct(low, PRIME32_1) + Math.imul(keyedHigh, PRIME32_1)) | 0;
  }
}

/** Adds the exclusive or of both halves of the 128-bit product of two numbers. */
function addFolded(aLow: number, aHigh: number, bLow: number, bHigh: number): void {
  const lowHigh = Math.imul(aLow, bHigh);
  const highLow = Math.imul(aHigh, bLow);
  const highHigh = Math.imul(aHigh, bHigh);
  // The four 32-bit words of the product, the inner two with what they carry.
  const second = (highProduct(aLow, bLow) >>> 0) + (lowHigh >>> 0) + (highLow >>> 0);
  const third = (highProduct(aLow, bHigh) >>> 0) + (highProduct(aHigh, bLow) >>> 0) + (highHigh >>> 0) +
    Math.floor(second / TWO_32);
  const fourth = highProduct(aHigh, bHigh) + Math.floor(third / TWO_32);
  add(Math.imul(aLow, bLow) ^ third, second ^ fourth);
}

function avalanche(): void {
  shiftXor(37);
  multiply(PRIME_MX1_LOW, PRIME_MX1_HIGH);
  shiftXor(32);
}

/** `h ^= h >> count`, for counts from 1 to 63. */
function shiftXor(count: number): void {
  const high = H[1]!;
  if (count > 31) {
    H[0] = H[0]! ^ (high >>> (count - 32));
  } else {
    H[0] = H[0]! ^ ((H[0]! >>> count) | (high << (32 - count)));
    H[1] = high ^ (high >>> count);
  }
}

function multiply(low: number, high: number): void {
  const own = H[0]!;
  H[1] = highProduct(own, low) + Math.imul(own, high) + Math.imul(H[1]!, low);
  H[0] = Math.imul(own, low);
}

function add(low: number, high: number): void {
  const sum = (H[0]! + low) | 0;
  H[0] = sum;
  H[1] = H[1]! + high + (sum >>> 0 < low >>> 0 ? 1 : 0);
}

function subtract(low: number, high: number): void {
  const own = H[0]!;
  H[0] = own - low;
  H[1] = H[1]! - high - (own >>> 0 < low >>> 0 ? 1 : 0);
}

/** The upper 32 bits of the product of two unsigned 32-bit numbers. */
function highProduct(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const cross = Math.imul(aLow, bHigh);
  const otherCross = Math.imul(aHigh, bLow);
  const carry = (Math.imul(aLow, bLow) >>> 16) + (cross & 0xffff) + (otherCross & 0xffff);
  return (Math.imul(aHigh, bHigh) + (cross >>> 16) + (otherCross >>> 16) + (carry >>> 16)) | 0;
}

/** The four bytes of a number in reverse. */
function swap(value: number): number {
  return (value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24);
}
