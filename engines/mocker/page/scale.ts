/**
 * Round numbers for axes, and numbers as people read them.
 *
 * @module
 */

const STEPS = [1, 2, 5, 10];

/** The least of 1, 2 or 5 times a power of ten that is not below a value. */
export function roundStep(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const step = STEPS.find((factor) => factor * power >= value * (1 - 1e-9))!;
  return Number((step * power).toPrecision(1));
}

/** Round numbers from 0 on, about `count` of them; the last is not below `max`. @param least Least distance. */
export function ticks(max: number, count: number, least = 0): number[] {
  const step = max === 0 ? Math.max(least, 1) : roundStep(Math.max(max / count, least));
  const last = Math.max(1, Math.ceil(max / step * (1 - 1e-9)));
  return Array.from({ length: last + 1 }, (_, i) => rounded(i * step, 12));
}

/** Round numbers between two others, both included. */
export function ticksBetween(from: number, to: number, count: number): number[] {
  const step = roundStep((to - from) / count);
  const found: number[] = [];
  for (let i = Math.ceil(from / step - 1e-9); i * step <= to + step * 1e-9; i++) found.push(rounded(i * step, 12));
  return found;
}

/** Powers of ten, or 1, 2 and 5 times those, between two positive numbers. */
export function logTicks(from: number, to: number): number[] {
  const decades = Math.log10(to / from);
  const factors = decades > 3 ? [1] : decades > 1.2 ? [1, 3] : [1, 1.5, 2, 3, 5, 7];
  const found: number[] = [];
  for (let power = Math.floor(Math.log10(from)); power <= Math.log10(to); power++) {
    for (const factor of factors) {
      const tick = rounded(factor * 10 ** power, 3);
      if (tick >= from * (1 - 1e-9) && tick <= to * (1 + 1e-9)) found.push(tick);
    }
  }
  return found;
}

/** A unit of time and how many milliseconds it has. */
export interface TimeUnit {
  /** Its sign. */
  readonly name: string;
  /** Its length. @unit milliseconds */
  readonly ms: number;
}

/** The unit in which a length of time is a handy number. */
export function timeUnit(ms: number): TimeUnit {
  if (ms < 2000) return { name: "ms", ms: 1 };
  if (ms < 600_000) return { name: "s", ms: 1000 };
  return ms < 4 * 3_600_000 ? { name: "min", ms: 60_000 } : { name: "h", ms: 3_600_000 };
}

/** A number with so many significant digits. */
export function rounded(value: number, digits: number): number {
  return Number(value.toPrecision(digits));
}

/** A number for people: whole ones in full, others with four digits; thin spaces between thousands. */
export function figure(value: number): string {
  if (value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e15)) return value.toPrecision(4);
  const text = `${Number.isInteger(value) ? value : Math.abs(value) >= 1000 ? Math.round(value) : rounded(value, 4)}`;
  const [whole, fraction] = text.split(".");
  const grouped = whole!.length > 4 ? whole!.replace(/\B(?=(\d{3})+$)/g, "\u202f") : whole!;
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}
