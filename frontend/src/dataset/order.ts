/** Orders and filters the lines of a table. */

export type Value = string | number | null;
export type Direction = "up" | "down";

/** Words without the punctuation around them, in small letters, as the summary counts them. */
export function normalized(word: string): string {
  const small = word.toLowerCase().trim();
  return small.replace(/^[\p{P}\p{S}\s]+|[\p{P}\p{S}\s]+$/gu, "") || small;
}

/** The lines in the order of a column; lines without a value come last, equal ones keep their order. */
export function ordered(
  lines: readonly number[],
  value: (line: number) => Value,
  order: Direction,
): number[] {
  const sign = order === "up" ? 1 : -1;
  return [...lines].sort((a, b) => {
    const [first, second] = [value(a), value(b)];
    if (first === null || second === null) return Number(first === null) - Number(second === null) || a - b;
    const by = typeof first === "string" ? first.localeCompare(String(second)) : first - (second as number);
    return sign * by || a - b;
  });
}

/** The lines whose words have a text in them. */
export function found(words: readonly string[], search: string): number[] {
  const query = search.trim().toLocaleLowerCase();
  return [...words.keys()].filter((line) => words[line].toLocaleLowerCase().includes(query));
}

/**
 * Which words of a text, given as parts of which every second is a word, are a word or a phrase.
 *
 * Between the words of a phrase there may be punctuation.
 */
export function occurrences(parts: readonly string[], phrase: string): Set<number> {
  const sought = phrase.split(" ").map(normalized).filter(Boolean);
  const marked = new Set<number>();
  if (!sought.length) return marked;
  const words = parts
    .filter((_, index) => index % 2 === 1)
    .map((word, index) => ({ index, word: normalized(word), bare: /[\p{L}\p{N}]/u.test(word) }));
  const kept = sought.length > 1 ? words.filter(({ bare, word }) => bare || sought.includes(word)) : words;
  for (let start = 0; start + sought.length <= kept.length; start++) {
    if (sought.some((word, offset) => kept[start + offset].word !== word)) continue;
    for (let offset = 0; offset < sought.length; offset++) marked.add(kept[start + offset].index);
  }
  return marked;
}
