/**
 * Model time as the peer rounds it: every duration is a whole number of nanoseconds.
 *
 * @module
 */

const NANOS_PER_SECOND = 1e9;
/** Products this near to a half are rounded on exact integers instead. */
const NEAR_TIE = 1e-6;

/**
 * Rounds a predicted duration to nanoseconds, divides it by the speed-up, and rounds again.
 *
 * @param rawMs What the timing model says. @unit milliseconds
 * @param speedup Divides the duration; 0 leaves it as it is.
 * @returns Milliseconds, a whole number of nanoseconds.
 * @throws {RangeError} If the duration is negative or not finite.
 * @source aisimulate-core 0.13.0, `timing.rs`, `modeled_duration_ms`
 */
export function modelledMs(rawMs: number, speedup: number): number {
  if (!(rawMs >= 0) || rawMs === Infinity) {
    throw new RangeError(
      `Cannot run a pass of ${rawMs} ms: the timing model must give a finite duration of at least 0`,
    );
  }
  const nanos = roundedNanos(rawMs / 1000);
  if (speedup <= 0 || nanos === 0) return seconds(nanos) * 1000;
  return seconds(roundedNanos(seconds(nanos) / speedup)) * 1000;
}

function seconds(nanos: number): number {
  const whole = Math.floor(nanos / NANOS_PER_SECOND);
  return whole + (nanos - whole * NANOS_PER_SECOND) / NANOS_PER_SECOND;
}

function roundedNanos(value: number): number {
  const product = value * NANOS_PER_SECOND;
  const floor = Math.floor(product);
  const above = product - floor;
  if (Math.abs(above - 0.5) > NEAR_TIE) return above > 0.5 ? floor + 1 : floor;
  return exactNanos(value);
}

/** Nearest, ties to even, of the exact product: a double is a fraction with a power of two below. */
function exactNanos(value: number): number {
  let scale = 1n;
  let scaled = value;
  while (!Number.isInteger(scaled)) {
    scaled *= 2;
    scale *= 2n;
  }
  const numerator = BigInt(scaled) * BigInt(NANOS_PER_SECOND);
  const floor = numerator / scale;
  const twice = 2n * (numerator - floor * scale);
  const up = twice > scale || (twice === scale && floor % 2n === 1n);
  return Number(up ? floor + 1n : floor);
}
