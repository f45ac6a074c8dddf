/** All scores as a bar chart, by position or magnitude; only visible rows are in the DOM. */

import type { Context } from "../../context";
import { clamp } from "../../data/clamp";
import { bySize, type Scores } from "../../data/units";
import type { State } from "../../state/store";
import { h, on } from "../../ui/dom";
import { onPrint } from "../../ui/print";
import { barRow, chartOf, listenToRows, markHovered, ROW_HEIGHT, rowElement } from "./row";

const SPARE = 3;
const MAX_HEIGHT = 430;

/** The units that have a score, in the chart's order. */
export function barOrder(scores: Scores, state: Readonly<State>): number[] {
  const scored = bySize(scores.values);
  return state.sort === "size" ? scored : scored.sort((a, b) => a - b);
}

export function barsView(context: Context): HTMLElement {
  const { model, store, actions, theme } = context;
  const space = h("div", { class: "bars-space", role: "presentation" });
  const element = h(
    "div",
    {
      class: "bars",
      role: "listbox",
      tabindex: 0,
      "aria-label": "Bar chart of the scores",
      "data-view": "bars",
    },
    space,
  );
  let order: number[] = [];
  let isPrinting = false;

  const paint = () => {
    const { state } = store;
    const scores = model.scores(state);
    if (!scores || !space.clientWidth) return;
    const units = model.unitsShown(state);
    space.style.height = `${order.length * ROW_HEIGHT}px`;
    element.style.height = `${Math.min(order.length * ROW_HEIGHT + 2, MAX_HEIGHT)}px`;
    const height = isPrinting ? order.length * ROW_HEIGHT : element.clientHeight || MAX_HEIGHT;
    const first = clamp(Math.floor(element.scrollTop / ROW_HEIGHT) - SPARE, 0, Math.max(order.length - 1, 0));
    const last = Math.min(Math.ceil((element.scrollTop + height) / ROW_HEIGHT) + SPARE, order.length);
    const chart = chartOf(context, scores, theme.colors, space.clientWidth);
    const rows = order.slice(first, last).map((index, place) => {
      const unit = units[index];
      const row = rowElement(context, unit, barRow(context, scores, unit, theme.colors), chart, "bar");
      row.style.top = `${(first + place) * ROW_HEIGHT}px`;
      row.setAttribute("aria-setsize", String(order.length));
      row.setAttribute("aria-posinset", String(first + place + 1));
      return row;
    });
    space.replaceChildren(...rows);
  };

  const arrange = () => {
    const { state } = store;
    const scores = model.scores(state);
    order = scores ? barOrder(scores, state) : [];
    paint();
  };
  const reveal = () => {
    const index = order.indexOf(model.unitOf(store.state, store.state.focus));
    if (index < 0) return;
    const top = index * ROW_HEIGHT;
    if (top < element.scrollTop) element.scrollTop = top - ROW_HEIGHT;
    else if (top + ROW_HEIGHT > element.scrollTop + element.clientHeight) {
      element.scrollTop = top + 2 * ROW_HEIGHT - element.clientHeight;
    }
    element.setAttribute("aria-activedescendant", `bar-${order[index]}`);
  };

  element.addEventListener("scroll", paint, { passive: true });
  listenToRows(context, element);
  on(element, {
    keydown: (event) => {
      const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
      if (!by || !order.length) return;
      event.preventDefault();
      event.stopPropagation();
      const units = model.unitsShown(store.state);
      const index = order.indexOf(model.unitOf(store.state, store.state.focus));
      const next = clamp(index < 0 ? 0 : index + by, 0, order.length - 1);
      actions.select(units[order[next]].first, { extend: event.shiftKey });
    },
  });

  store.watch(["attribution", "target", "targetEnd", "level", "sort"], arrange);
  store.watch(["anchor", "focus"], () => {
    reveal();
    paint();
  });
  store.watch(["hover"], (state) => markHovered(context, space.children, state));
  theme.watch(paint);
  onPrint((printing) => {
    isPrinting = printing;
    paint();
  }, context.signal);
  new ResizeObserver(paint).observe(element);
  return element;
}
