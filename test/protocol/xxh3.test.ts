import assert from "node:assert/strict";
import { test } from "node:test";
import { Xxh3 } from "../../src/protocol/xxh3.ts";

/** Around every length at which the algorithm changes its way. */
const LENGTHS = [
  0,
  1,
  2,
  3,
  4,
  5,
  8,
  9,
  15,
  16,
  17,
  32,
  33,
  64,
  65,
  96,
  97,
  128,
  129,
  144,
  239,
  240,
  241,
  256,
  1023,
  1024,
  1025,
  1088,
  2048,
  2999,
];

/** What xxHash 0.8 makes of the first bytes of {@linkcode input}, by seed and length. */
const EXPECTED: readonly (readonly [seed: bigint, hashes: string])[] = [
  [
    0x0n,
    "2d06800538d394c2 c44bdff4074eecdb 50a0dc43c774eb84 3698b80191e625f9 2e4ac2f1c52157fc 3e2847637b2924d1 " +
    "60e1baa91347a1f2 9c88fc32c37b56cb 169c3d71d6ffc07e f9fbd0260ba978df c56f339d36cc73d7 7418fd090e5a8159 " +
    "d80a3226002e02f8 ef5426b31747db78 b98e2a2698771ec0 59d3b91aa4416fb9 3fea7cc420f592c0 31ccf8dec850d035 " +
    "c72af4c6ac4dea94 83db3050f78b59eb 95c1000fab028173 e315d53d5129eede 18773c512b008a63 cdd3578b9df45e59 " +
    "cbc276d0f95e9e68 5a1893edffa2577c 550abe5d45dd663b d3eebd69ab373526 1125cc0c79331fcb 7271c56d38907309",
  ],
  [
    0x539n,
    "d1f3e77444430ab9 b4b0bf3d83911694 b722a606b124d60e b95ca9648c195167 3d1ea8a53bb40aee d8418680b599367e " +
    "9385f8e02e7263d2 2cbc41c0896dd495 f14788e9d21a3fd1 7e7a14e121050ba8 455c537fd5fb3617 a812a62a3f5c5844 " +
    "924f4c46e72b2cd5 c214b7138339c5e2 2bfc22a19e91622c 5a9f3bbacea8dc17 12e132a1be9cab8f 8c332ba1a0ee318a " +
    "8ba75e4a92a4b2fb 61e92e4c20480c58 bb5f0cad45a6594d 871415e8fc355b72 cf9d5d62e7d1f75e c044c9f5e987ae0f " +
    "120305297a2469f6 a7d954803168330c 2e06e3d9e0b116d3 e486cca687a7a9e3 2e2368b4f5aee066 b9f5ad45f68dfad4",
  ],
  [
    0xdeadbeefcafebaben,
    "21605795bc1bc9c4 532c3edcbf9fa806 bb228bcd3f3b740c 74c08a6bcbd87881 26cd993c11774db2 12a4682823de3d6d " +
    "eeab5b356517dc2a a766826b0277bda7 0e71ff973ede2a88 9ffc0dcdc22221b1 8a14d274cfb5e38d 06f2d4f383d95a2c " +
    "c37dbba1ca9145a3 73cf32dc2a55fae8 f32cea44c6f5fea8 d068ef888eb79b7d f65f99c29be33010 114613e2fc3a5612 " +
    "28487ef3037591e9 03c6338a9b8ca03a aab373dabb97274c 9ae26eabb440477c 00dc548c20bd3d78 2cc4abb47b6d33f3 " +
    "e1f5fb843fa6e421 29c4babc37ec7d55 48ddc10f7ba17af7 aa687576b7f0e1aa d51c2a1ab88726af 2e521a3c43ad23ea",
  ],
];

const input = Uint8Array.from({ length: 3000 }, (_, i) => (i * 31 + (i >> 8)) & 0xff);

for (const [seed, hashes] of EXPECTED) {
  test(`hash() equals xxHash with seed ${seed.toString(16)} at every length`, () => {
    const xxh3 = new Xxh3(seed);
    const found = LENGTHS.map((length) => xxh3.hash(input.subarray(0, length)).toString(16).padStart(16, "0"));
    assert.deepEqual(found, hashes.split(" "));
  });
}

test("hashInto() reads at the place it is given and writes both halves", () => {
  const xxh3 = new Xxh3(1337n);
  const out = new Int32Array(4);
  xxh3.hashInto(new DataView(input.buffer, 3), 7, 100, out, 2);
  assert.equal(new BigUint64Array(out.buffer)[1], xxh3.hash(input.subarray(10, 110)));
  assert.deepEqual([out[0], out[1]], [0, 0]);
});

test("a seed wider than 64 bits counts by its low 64", () => {
  assert.equal(new Xxh3((1n << 64n) + 5n).hash(input), new Xxh3(5n).hash(input));
});
