/** A bar from zero to a value, with its interval as a line across its end. */

import { h } from "../ui/dom";

export interface Domain {
  readonly low: number;
  readonly high: number;
}

const REACH = 2; // times the largest value, beyond which an interval is cut

/** The range that holds zero, all values, and their intervals as far as these leave the values visible. */
export function domainOf(
  values: readonly number[],
  lows: readonly number[],
  highs: readonly number[],
): Domain {
  const reach = REACH * values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const low = lows.reduce((least, value) => Math.min(least, Math.max(value, -reach)), 0);
  const high = highs.reduce((most, value) => Math.max(most, Math.min(value, reach)), 0);
  return low === high ? { low: 0, high: 1 } : { low, high };
}

/** Where a value is, in percent of the width. */
export function placeOf(value: number, { low, high }: Domain): number {
  return (100 * (Math.min(Math.max(value, low), high) - low)) / (high - low);
}

export function rangeBar(
  value: number,
  low: number,
  high: number,
  domain: Domain,
  color: string,
): HTMLElement {
  const [zero, end, from, to] = [0, value, low, high].map((number) => placeOf(number, domain));
  const bar = h("span", { class: "bar" });
  Object.assign(bar.style, {
    left: `${Math.min(zero, end)}%`,
    width: `${Math.abs(end - zero)}%`,
    background: color,
  });
  const line = h("span", { class: "whisker" });
  Object.assign(line.style, { left: `${from}%`, width: `${to - from}%` });
  if (low < domain.low) line.style.borderLeftWidth = "0";
  if (high > domain.high) line.style.borderRightWidth = "0";
  const origin = h("span", { class: "origin" });
  origin.style.left = `${zero}%`;
  return h("span", { class: "range", "aria-hidden": "true" }, origin, bar, line);
}

/** Writes the numbers of a column with the same decimals, three digits for the largest. */
export function aligned(values: readonly number[]): (value: number) => string {
  const most = values.reduce((size, value) => Math.max(size, Math.abs(value)), 0) || 1;
  const decimals = Math.min(Math.max(2 - Math.floor(Math.log10(most)), 0), 8);
  return (value) =>
    value
      .toFixed(decimals)
      .replace(/^-(0\.?0*)$/, "$1")
      .replace("-", "−");
}
