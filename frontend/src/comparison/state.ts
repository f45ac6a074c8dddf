/** Shared by all parts of a comparison: the state, and how values are written. */

import type {
  ComparedAttention,
  ComparedAttribution,
  ComparedLevel,
  ComparedTarget,
  ComparisonPayload,
} from "../data/payload.generated";
import type { Store, ThemeChoice } from "../state/store";
import { formatNumber, formatPercent } from "../ui/format";
import type { Theme } from "../ui/theme";
import type { Tooltip } from "../ui/tooltip";

export type Side = 0 | 1;
export const SIDES = ["first", "second"] as const;

export interface ComparisonState {
  /** Units of the alignment, -1 none. */
  hover: number;
  focus: number;
  attribution: number;
  /** Words, or tokens. */
  level: number;
  target: number;
  /** Whether the texts are colored by their difference, or each by its own values. */
  shown: "scores" | "difference";
  sort: "position" | "size";
  map: number;
  /** -1 is the mean over layers, or over heads. */
  layer: number;
  head: number;
  /** The selected cell of the matrix, -1 none. */
  row: number;
  key: number;
  search: string;
  open: string;
  theme: ThemeChoice;
  shortcuts: boolean;
}

export interface ComparisonContext {
  readonly payload: ComparisonPayload;
  readonly store: Store<ComparisonState>;
  readonly theme: Theme;
  readonly tooltip: Tooltip;
  readonly say: (words: string) => void;
}

/** What is shown of an attribution: the words or tokens, and one of its targets. */
export interface Shown {
  readonly part: ComparedAttribution;
  readonly level: ComparedLevel;
  readonly target: ComparedTarget;
}

export function shownOf(payload: ComparisonPayload, state: Readonly<ComparisonState>): Shown | undefined {
  const part = payload.attributions[state.attribution];
  const level = part?.levels[Math.min(state.level, part.levels.length - 1)];
  return part && { part, level, target: level.targets[state.target] };
}

/** The change of a unit: one that is only in one text counts with its whole value; null where unknown. */
export function changeOf({ level, target }: Shown, unit: number): number | null {
  const [first, second] = [target.first[unit], target.second[unit]];
  if (level.kinds[unit] === "first only") return first === null ? null : -first;
  if (level.kinds[unit] === "second only") return second;
  return first === null || second === null ? null : second - first;
}

/** The label of a unit; both labels if one replaces the other. */
export function labelOf(level: ComparedLevel, unit: number): string {
  const [first, second] = [level.firstLabels[unit], level.secondLabels[unit]];
  return level.kinds[unit] === "replaced" ? `${first} → ${second}` : first || second;
}

/** For each unit of a level, the first unit of the texts it stands for; -1 if none. */
export function textUnits({ labelCount, units }: { labelCount: number; units: readonly number[] }): number[] {
  const out = new Array<number>(labelCount).fill(-1);
  units.forEach((unit, index) => {
    if (unit >= 0 && out[unit] < 0) out[unit] = index;
  });
  return out;
}

/** A value as text. */
export function valueWords({ measure }: ComparedAttribution, value: number | null): string {
  if (value === null) return "–";
  return measure === "score" ? formatNumber(value) : formatPercent(value);
}

/** A difference as text, with its sign; shares in percentage points. */
export function differenceWords({ measure }: ComparedAttribution, value: number | null): string {
  if (value === null) return "–";
  return measure === "score" ? signed(formatNumber(value), value) : points(value);
}

export function signed(words: string, value: number): string {
  return value > 0 ? `+${words}` : words;
}

export function points(value: number): string {
  const words = signed((100 * value).toFixed(1).replace("-", "−"), value);
  return value === 0 ? "0" : words.slice(1) === "0.0" ? "≈ 0" : words;
}

/** Each value's share of all. */
export function sharesOf(values: readonly (number | null)[]): (number | null)[] {
  const total = values.reduce<number>((sum, value) => sum + Math.abs(value ?? 0), 0);
  return values.map((value) => (value === null ? null : total ? value / total : 0));
}

/** A difference of weights as text. */
export function weightDifference(part: ComparedAttention, value: number): string {
  return part.isShares ? `${points(value)} points` : signed(formatNumber(value), value);
}

/** The layer and head that are shown. */
export function planeName(part: ComparedAttention, { layer, head }: Readonly<ComparisonState>): string {
  const layers = part.layers.length
    ? layer < 0
      ? part.layers.length > 1
        ? "mean over layers"
        : `layer ${part.layers[0]}`
      : `layer ${part.layers[layer]}`
    : part.layerWords;
  const heads = part.heads.length
    ? head < 0
      ? part.heads.length > 1
        ? "mean over heads"
        : `head ${part.heads[0]}`
      : `head ${part.heads[head]}`
    : part.headWords;
  return `${layers}, ${heads}`;
}
