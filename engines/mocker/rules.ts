/**
 * Rules that engine arguments have to keep.
 *
 * @module
 */

/** Says what is wrong unless a rule holds. @throws {RangeError} The rule. */
export function check(holds: boolean, rule: string): void {
  if (!holds) throw new RangeError(rule);
}

/** Whether a number is a time, a factor or a bandwidth: finite and not negative. */
export function isDuration(value: number): boolean {
  return value >= 0 && value < Infinity;
}
