/** Search in both texts, and the keyboard's shortcuts. */

import type { ComparisonContext } from "./state";

/** The shortcuts of a comparison. */
export const KEYS: readonly (readonly [string, string])[] = [
  ["← →", "previous or next token"],
  ["[ ]", "previous or next layer"],
  ["h H", "next or previous head"],
  ["m", "next attention map"],
  ["a", "next attribution"],
  ["g", "switch between words and tokens"],
  ["d", "color the texts by their difference or each by its own scores"],
  ["o", "order all words by position or difference"],
  ["/", "search; Enter goes to the next match"],
  ["Esc", "clear the selection, close menus"],
  ["?", "show this help"],
];

/** Select the next unit that has a text, or the one before; returns the number of matches. */
export function findUnit({ payload, store }: ComparisonContext, search: string, by: number): number {
  const query = search.trim().toLocaleLowerCase();
  const { tables, pairs, kinds } = payload;
  const matches = (unit: number) =>
    [0, 1].some((side) => tables[side].labels[pairs[2 * unit + side]]?.toLocaleLowerCase().includes(query));
  const units = query ? Array.from(kinds.keys()).filter(matches) : [];
  const { focus } = store.state;
  const next =
    by >= 0
      ? (units.find((unit) => unit > focus || (by === 0 && unit === focus)) ?? units[0])
      : (units.filter((unit) => unit < focus).at(-1) ?? units.at(-1));
  store.set({ search, ...(next === undefined ? {} : { focus: next }) });
  return units.length;
}
