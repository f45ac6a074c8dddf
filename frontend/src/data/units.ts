/** Units: tokens grouped by visible character, word or sentence. */

import type { Attribution, Table } from "./payload.generated";

/** The granularity of units. */
export type Level = "token" | "word" | "sentence";

export interface Unit {
  readonly index: number;
  /** Its first and last token. */
  readonly first: number;
  readonly last: number;
  readonly special: boolean;
  readonly label: string;
}

export function unitsOf(table: Table, level: Level): Unit[] {
  const units: Unit[] = [];
  const groups = table.groups[level];
  for (let token = 0; token < groups.length; token++) {
    const last = units.at(-1);
    if (last && groups[last.first] === groups[token]) {
      units[units.length - 1] = { ...last, last: token };
    } else {
      units.push({
        index: groups[token],
        first: token,
        last: token,
        special: table.special[token],
        label: "",
      });
    }
  }
  return units.map((unit) => ({ ...unit, label: labelOf(table, unit.first, unit.last) }));
}

/** The text of some neighboring tokens. */
export function labelOf(table: Table, first: number, last: number): string {
  if (first === last || table.segments[first] < 0) return table.labels[first];
  const start = Math.min(...range(first, last).map((token) => table.offsets[2 * token]));
  const end = Math.max(...range(first, last).map((token) => table.offsets[2 * token + 1]));
  const same = range(first, last).every((token) => table.labels[token] === table.labels[first]);
  const sameSpan = range(first, last).every((token) => table.offsets[2 * token] === table.offsets[2 * first]);
  if (same && sameSpan) return table.labels[first];
  const text = Array.from(table.texts[table.segments[first]]).slice(start, end).join("");
  return visible(text.trim() || text);
}

/** Make line breaks, tabs, control characters and direction overrides visible. */
export function visible(text: string): string {
  if (/^[ \u00a0]+$/.test(text)) return "␣".repeat(text.length);
  return text
    .replace(/\n/g, "↵")
    .replace(/\t/g, "⇥")
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) => {
      const code = character.codePointAt(0)!;
      if (code === 0x200c || code === 0x200d || (code >= 0xe0020 && code <= 0xe007f)) return character;
      if (code < 0x20) return String.fromCharCode(0x2400 + code);
      return `\\u${code.toString(16).padStart(4, "0")}`;
    });
}

export function short(label: string, max = 12): string {
  const characters = Array.from(visible(label));
  return characters.length > max ? `${characters.slice(0, max - 1).join("")}…` : characters.join("");
}

export interface Scores {
  /** One per token; NaN where it has no score. */
  readonly tokens: Float64Array;
  /** One per unit; NaN where none of its tokens has a score. */
  readonly values: Float64Array;
  /** The sum of the magnitudes of all scores. */
  readonly total: number;
  /** The largest magnitude, excluding special tokens unless only they have scores. */
  readonly reach: number;
  /** Each unit's rank by magnitude, from 1; 0 for special tokens and units without a score. */
  readonly ranks: Int32Array;
}

/** Add up the scores of some targets for each token; those from `end` on have none. */
export function tokenScores(
  attribution: Attribution,
  tokenCount: number,
  first: number,
  last: number,
  end = tokenCount,
): Float64Array {
  const tokens = new Float64Array(tokenCount).fill(Number.NaN);
  for (let target = first; target <= last; target++) {
    attribution.scores[target].forEach((score, index) => {
      const token = attribution.positions[index];
      if (score === null || token >= end) return;
      tokens[token] = (Number.isNaN(tokens[token]) ? 0 : tokens[token]) + score;
    });
  }
  return tokens;
}

/** Add up the scores of some targets, then of the tokens of each unit. */
export function scoresOf(
  attribution: Attribution,
  units: readonly Unit[],
  tokenCount: number,
  first: number,
  last: number,
  end = tokenCount,
): Scores {
  const tokens = tokenScores(attribution, tokenCount, first, last, end);
  const values = Float64Array.from(units, (unit) => joined(tokens, unit.first, unit.last, attribution.norm));
  let total = 0;
  let reach = 0;
  let plain = 0;
  values.forEach((value, unit) => {
    if (Number.isNaN(value)) return;
    total += Math.abs(value);
    reach = Math.max(reach, Math.abs(value));
    if (!units[unit].special) plain = Math.max(plain, Math.abs(value));
  });
  const ranks = new Int32Array(values.length);
  const ranked = bySize(values).filter((unit) => !units[unit].special);
  ranked.forEach((unit, rank) => {
    ranks[unit] = rank + 1;
  });
  return { tokens, values, total, reach: plain || reach, ranks };
}

/** Return the units that have a score, largest magnitude first. */
export function bySize(values: Float64Array): number[] {
  const scored = Array.from(values.keys()).filter((unit) => !Number.isNaN(values[unit]));
  return scored.sort((a, b) => Math.abs(values[b]) - Math.abs(values[a]) || a - b);
}

/** The units with the largest magnitudes; special tokens and units with a score of 0 are not listed. */
export function strongest({ values, ranks }: Scores, count: number): number[] {
  const listed = Array.from(values.keys()).filter((unit) => ranks[unit] > 0 && values[unit] !== 0);
  return listed.sort((a, b) => ranks[a] - ranks[b]).slice(0, count);
}

/** The unit's text, without tokens at its ends that have no score: of a word being written, what stands there. */
export function scoredLabel(table: Table, { tokens }: Scores, unit: Unit): string {
  let { first, last } = unit;
  while (first < last && Number.isNaN(tokens[first])) first++;
  while (last > first && Number.isNaN(tokens[last])) last--;
  return first === unit.first && last === unit.last ? unit.label : labelOf(table, first, last);
}

function joined(tokens: Float64Array, first: number, last: number, norm: Attribution["norm"]): number {
  let sum = Number.NaN;
  for (let token = first; token <= last; token++) {
    const value = tokens[token];
    if (Number.isNaN(value)) continue;
    const before = Number.isNaN(sum) ? 0 : sum;
    if (norm === "l2") sum = before + value * value;
    else if (norm === "max") sum = Math.max(before, value);
    else sum = before + value;
  }
  if (first === last) return tokens[first];
  return norm === "l2" ? Math.sqrt(sum) : sum;
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
