/** A table whose columns order it and whose lines can be selected, one tab stop for all of them. */

import { type Child, h, on, replace } from "../ui/dom";
import { formatCount } from "../ui/format";
import { button } from "../ui/parts";
import { type Direction, ordered, type Value } from "./order";

const FEW = 50; // lines shown at first

export interface Column {
  readonly key: string;
  readonly name: string;
  /** What the column says, for its tooltip. */
  readonly tip?: string;
  readonly style?: string;
  readonly value: (line: number) => Value;
  readonly cell: (line: number) => Child;
}

export interface TableShown {
  /** The lines that match the search. */
  readonly lines: readonly number[];
  readonly columns: readonly Column[];
  readonly sort: string;
  readonly order: Direction;
}

export interface DataTable {
  readonly element: HTMLElement;
  readonly show: (shown: TableShown) => void;
  /** The first line as they are ordered; -1 without lines. */
  readonly first: () => number;
  /** Mark a line as selected, -1 for none; returns its element. */
  readonly mark: (line: number) => HTMLElement | null;
}

/** `name` gives a line its button; `select` is called with the line, `sortBy` with a column's key. */
export function dataTable(
  label: string,
  name: (line: number) => string,
  acts: { select: (line: number) => void; sortBy: (key: string) => void },
): DataTable {
  const body = h("tbody");
  const head = h("tr");
  const more = h("p", { class: "more-lines" });
  const box = h(
    "div",
    { class: "table-box" },
    h("table", { class: "words", "aria-label": label }, h("thead", {}, head), body),
  );
  const element = h("div", { class: "data-table" }, box, more);
  let shown: TableShown | null = null;
  let most = FEW;
  let selected = -1;
  let all: number[] = [];

  const draw = () => {
    if (!shown) return;
    const { lines, columns, sort, order } = shown;
    const by = columns.find(({ key }) => key === sort);
    all = by ? ordered(lines, by.value, order) : [...lines];
    const drawn = all.slice(0, Math.max(most, all.indexOf(selected) + 1));
    replace(head, ...columns.map((column) => heading(column, sort, order, acts.sortBy)));
    replace(body, ...drawn.map((line) => lineElement(line, columns, name)));
    const rest = all.length - drawn.length;
    const act = () => {
      most = all.length;
      draw();
      mark(selected);
    };
    replace(more, rest > 0 && button(`Show ${formatCount(rest)} more`, act));
  };
  const lineOf = (line: number) => body.querySelector<HTMLElement>(`tr[data-line="${line}"]`);
  const mark = (line: number) => {
    selected = line;
    if (all.includes(line) && !lineOf(line)) draw();
    const chosen = lineOf(line);
    for (const item of body.querySelectorAll<HTMLElement>("tr[data-line]")) {
      const isChosen = item === chosen;
      item.classList.toggle("selected", isChosen);
      const face = item.querySelector<HTMLButtonElement>("button.word")!;
      face.setAttribute("aria-pressed", String(isChosen));
      face.tabIndex = item === (chosen ?? body.firstElementChild) ? 0 : -1;
    }
    return chosen;
  };

  on(body, {
    click: (event) => {
      if ((event.target as Element).closest(".inline-detail")) return;
      const line = (event.target as Element).closest<HTMLElement>("tr[data-line]");
      if (line) acts.select(Number(line.dataset.line));
    },
    keydown: (event) => {
      const faces = [...body.querySelectorAll<HTMLButtonElement>("button.word")];
      const at = faces.indexOf(event.target as HTMLButtonElement);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: faces.length - 1 }[event.key];
      const next = at < 0 || to === undefined ? undefined : faces[to];
      if (!next) return;
      event.preventDefault();
      next.focus();
      acts.select(Number(next.closest<HTMLElement>("tr")!.dataset.line));
    },
  });
  return {
    element,
    show: (next) => {
      if (next.lines.length !== shown?.lines.length) most = FEW;
      shown = next;
      draw();
    },
    first: () => all[0] ?? -1,
    mark,
  };
}

function heading(
  { key, name, tip, style }: Column,
  sort: string,
  order: Direction,
  sortBy: (key: string) => void,
): HTMLElement {
  const isSorted = key === sort;
  return h(
    "th",
    {
      scope: "col",
      class: style,
      "aria-sort": isSorted ? (order === "up" ? "ascending" : "descending") : undefined,
    },
    h(
      "button",
      { type: "button", class: "sorts", title: tip, on: { click: () => sortBy(key) } },
      name,
      h("span", { class: "arrow", "aria-hidden": "true" }, isSorted ? (order === "up" ? " ▴" : " ▾") : ""),
    ),
  );
}

function lineElement(line: number, columns: readonly Column[], name: (line: number) => string): HTMLElement {
  const [first, ...others] = columns;
  return h(
    "tr",
    { "data-line": line },
    h(
      "th",
      { scope: "row", class: first.style },
      h(
        "button",
        { type: "button", class: "word", "aria-pressed": "false" },
        h("bdi", {}, name(line)),
        first.cell(line),
      ),
    ),
    ...others.map(({ style, cell }) => h("td", { class: style }, cell(line))),
  );
}
