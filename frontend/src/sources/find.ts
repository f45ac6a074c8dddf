/** Search in the statements and in the sentences of the sources. */

import type { Cards } from "./cards";
import type { PageContext } from "./state";

/** Returns a search: it marks the next match of a text, or the one before, and returns their number. */
export function finder({ payload }: PageContext, answer: HTMLElement, cards: Cards) {
  let last = "";
  let at = 0;
  let marked: Element | null = null;
  return (text: string, by: number): number => {
    marked?.classList.remove("match");
    marked = null;
    const query = text.trim().toLocaleLowerCase();
    if (!query) return 0;
    const has = (words: string) => words.toLocaleLowerCase().includes(query);
    const statements = payload.statements.flatMap(({ text: words }, index) =>
      has(words) ? [() => answer.querySelector(`[data-statement="${index}"]`)] : [],
    );
    const sentences = payload.sources.flatMap((source, index) =>
      source.sentences.flatMap(({ text: words }, place) =>
        has(words) ? [() => cards.sentence(index, place)] : [],
      ),
    );
    const matches = [...statements, ...sentences];
    at = query === last ? at + by : 0;
    last = query;
    if (!matches.length) return 0;
    at = (at + matches.length) % matches.length;
    const element = matches[at]();
    const folded = element?.closest("details");
    if (folded) folded.open = true;
    element?.classList.add("match");
    element?.scrollIntoView({ block: "nearest" });
    marked = element;
    return matches.length;
  };
}
