/** A table of words beside what is known of the selected one; on a narrow screen, below its line. */

import { save } from "../export/menu";
import { type Child, h, replace } from "../ui/dom";
import { button, note } from "../ui/parts";
import { found } from "./order";
import type { PageContext, PageState } from "./state";
import { type Column, dataTable } from "./table";

const NARROW = "(max-width: 820px)";

/** What a table shows in a state of the page. */
export interface Listed {
  readonly words: readonly string[];
  /** What the address calls a line. */
  readonly nameOf: (line: number) => string;
  readonly columns: readonly Column[];
  readonly detail: (line: number) => readonly Child[];
  /** What stands in place of a table without lines. */
  readonly nothing: string;
  readonly csv: () => string;
}

export function listedView(
  context: PageContext,
  listed: (state: Readonly<PageState>) => Listed,
  signal: AbortSignal,
): { controls: Child[]; element: HTMLElement } {
  const { store, theme } = context;
  const narrow = matchMedia(NARROW);
  let shown = listed(store.state);
  const table = dataTable("Words", (line) => shown.words[line], {
    select: (line) => {
      const name = shown.nameOf(line);
      store.set({ word: narrow.matches && name === store.state.word ? "" : name });
    },
    sortBy: (key) => store.set(sortedBy(store.state, key)),
  });
  const nothing = note();
  const detail = h("div", { class: "detail", role: "region", "aria-label": "Rows with the selected word" });
  const panel = h("div", { class: "detail-panel" }, detail);

  /** On a wide screen there is always a word whose rows are shown: the first until one is selected. */
  const chosen = ({ word }: Readonly<PageState>, first: number) => {
    const line = shown.words.findIndex((_, index) => shown.nameOf(index) === word);
    return line < 0 && !narrow.matches ? first : line;
  };
  const draw = (state: Readonly<PageState>) => {
    shown = listed(state);
    const lines = found(shown.words, state.search);
    nothing.textContent = shown.words.length ? `No match for “${state.search.trim()}”.` : shown.nothing;
    nothing.hidden = lines.length > 0;
    table.element.hidden = !lines.length;
    table.show({ lines, columns: shown.columns, sort: state.sort, order: state.order });
    drawDetail(state);
  };
  const drawDetail = (state: Readonly<PageState>) => {
    const line = chosen(state, table.first());
    detail.remove();
    table.element.querySelector(".inline-detail")?.remove();
    const place = table.mark(line);
    if (line < 0) return;
    replace(detail, ...shown.detail(line));
    if (!narrow.matches) panel.append(detail);
    else
      place?.after(h("tr", { class: "inline-detail" }, h("td", { colspan: place.children.length }, detail)));
  };

  const search = h("input", {
    type: "search",
    class: "search",
    placeholder: "Search words",
    "aria-label": "Search words",
    on: { input: () => store.set({ search: search.value }) },
  });
  const write = () => save("words.csv", new Blob([shown.csv()], { type: "text/csv" }));
  store.watch(["search"], (state) => {
    if (search.value !== state.search) search.value = state.search;
  });
  store.watch(["answer", "kind", "search", "sort", "order"], draw);
  store.watch(["word"], drawDetail);
  narrow.addEventListener("change", () => draw(store.state), { signal });
  theme.watch(() => draw(store.state));
  return {
    controls: [search, button("CSV", write, "Save the table as CSV")],
    element: h(
      "div",
      { class: "words-split" },
      h("div", { class: "words-list" }, table.element, nothing),
      panel,
    ),
  };
}

/** A column's first click orders by it, the second turns the order, the third gives back the given one. */
export function sortedBy(
  { sort, order }: Pick<PageState, "sort" | "order">,
  key: string,
): Pick<PageState, "sort" | "order"> {
  const [start, turned] =
    key === "word" || key === "answer" ? (["up", "down"] as const) : (["down", "up"] as const);
  if (sort !== key) return { sort: key, order: start };
  return order === start ? { sort: key, order: turned } : { sort: "", order: "down" };
}
