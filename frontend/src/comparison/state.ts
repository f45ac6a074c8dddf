/** Shared by all parts of a comparison: the state, and how values are written. */

import type { ComparedAttribution, ComparisonPayload } from "../data/payload.generated";
import type { Store, ThemeChoice } from "../state/store";
import { formatNumber, formatPercent } from "../ui/format";
import type { Theme } from "../ui/theme";
import type { Tooltip } from "../ui/tooltip";

export type Side = 0 | 1;

export interface ComparisonState {
  /** Units of the alignment, -1 none. */
  hover: number;
  focus: number;
  attribution: number;
  target: number;
  /** Whether the texts are colored by their difference, or each by its own values. */
  shown: "scores" | "difference";
  sort: "position" | "size";
  map: number;
  layer: number;
  /** -1 is the mean over heads. */
  head: number;
  theme: ThemeChoice;
}

export interface ComparisonContext {
  readonly payload: ComparisonPayload;
  readonly store: Store<ComparisonState>;
  readonly theme: Theme;
  readonly tooltip: Tooltip;
}

export function attributionOf(
  payload: ComparisonPayload,
  state: Readonly<ComparisonState>,
): ComparedAttribution | undefined {
  return payload.attributions[state.attribution];
}

/** The label of a unit; both labels if one token replaces the other. */
export function unitLabel({ tables, pairs }: ComparisonPayload, unit: number): string {
  const [first, second] = [0, 1].map((side) => tables[side].labels[pairs[2 * unit + side]]);
  if (first === undefined || second === undefined) return first ?? second ?? "";
  return first === second ? first : `${first} → ${second}`;
}

/** A value as text. */
export function valueWords({ measure }: ComparedAttribution, value: number | null): string {
  if (value === null) return "–";
  return measure === "score" ? formatNumber(value) : formatPercent(value);
}

/** A difference as text, with its sign; shares in percentage points. */
export function differenceWords({ measure }: ComparedAttribution, value: number | null): string {
  if (value === null) return "–";
  return measure === "score" ? `${value > 0 ? "+" : ""}${formatNumber(value)}` : points(value);
}

export function points(value: number): string {
  const words = `${value > 0 ? "+" : ""}${(100 * value).toFixed(1)}`.replace("-", "−");
  return value === 0 ? "0" : words.slice(1) === "0.0" ? "≈ 0" : `${words} points`;
}

/** The largest magnitude among a target's differences; 1 if there are none. */
export function largestDifference(attribution: ComparedAttribution, target: number): number {
  return Math.max(...attribution.differences[target].map((value) => Math.abs(value ?? 0))) || 1;
}
