/** What a cell says, as `DifferenceMap.sentence` writes it. */

import { signed } from "../comparison/state";
import type { LedgerAxis, LedgerMap } from "../data/payload.generated";
import { h } from "../ui/dom";
import { formatNumber, formatPercent } from "../ui/format";
import { bdi } from "../ui/parts";

/** Shares of a difference this many times smaller than what cancels in it say little, and are not written. */
export const CANCELING = 10;

type Span = readonly [number, number];

export function columnLabel(axis: LedgerAxis, [first, last]: Span): string {
  if (first < last) return `${last - first + 1} ${axis.noun}s`;
  const second = axis.seconds[first];
  return second ? `${axis.labels[first]} (${second})` : axis.labels[first];
}

/** A drawn column in a sentence, without the word before it. */
export function columnName(axis: LedgerAxis, span: Span): string {
  return span[0] === span[1] ? axis.names[span[0]] : columnLabel(axis, span);
}

/** The contribution of a cell, or of a cell of several columns. */
export function valueAt({ values, rows }: LedgerMap, row: number, [first, last]: Span): number {
  const count = values.length / rows.length;
  let sum = 0;
  for (let column = first; column <= last; column++) sum += values[row * count + column];
  return sum;
}

export function rowSum(map: LedgerMap, row: number): number {
  return valueAt(map, row, [0, map.values.length / map.rows.length - 1]);
}

/** A contribution with its share: `+4.1 of +6.6 (62.1 %)`. */
export function contribution(value: number, difference: number): string {
  const share = value / difference;
  const known = Math.abs(share) < CANCELING ? ` (${formatPercent(share)})` : "";
  return `${number(value)} of ${number(difference)}${known}`;
}

export function number(value: number): string {
  return signed(formatNumber(value), value);
}

/** A sentence whose quoted tokens keep their own reading direction, and whose shares stay on one line. */
export function isolated(words: string): (string | HTMLElement)[] {
  return words
    .split(/(?<=“)([^”]*)(?=”)/)
    .flatMap((part, index) => (index % 2 ? [bdi(part)] : unbroken(part)));
}

function unbroken(words: string): (string | HTMLElement)[] {
  return words
    .split(/([−+]?[\d.]+ %)/)
    .map((part, index) => (index % 2 ? h("span", { class: "share" }, part) : part));
}
