/** The scores as a bar chart, by position or magnitude; only visible rows are in the DOM. */

import type { Context } from "../../context";
import { clamp } from "../../data/clamp";
import { bySize, type Scores, type Unit } from "../../data/units";
import type { State } from "../../state/store";
import { h, on } from "../../ui/dom";
import { formatPercent } from "../../ui/format";
import { bar, barLabel, barValue, numberAt, track } from "../../ui/parts";
import { scoreRows } from "../../words";

export const ROW_HEIGHT = 26;
const SPARE = 3;
const MAX_HEIGHT = 430;

/** The units in the chart's order. */
export function barOrder(scores: Scores, state: Readonly<State>): number[] {
  if (state.sort === "size") return bySize(scores.values);
  return Array.from(scores.values.keys());
}

export function barsView({ model, store, actions, theme, tooltip }: Context): HTMLElement {
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

  const paint = () => {
    const { state } = store;
    const scores = model.scores(state);
    const attribution = model.attribution(state);
    if (!scores || !attribution) return;
    const units = model.unitsShown(state);
    space.style.height = `${order.length * ROW_HEIGHT}px`;
    element.style.height = `${Math.min(order.length * ROW_HEIGHT + 2, MAX_HEIGHT)}px`;
    const height = element.clientHeight || 420;
    const first = clamp(Math.floor(element.scrollTop / ROW_HEIGHT) - SPARE, 0, Math.max(order.length - 1, 0));
    const last = Math.min(Math.ceil((element.scrollTop + height) / ROW_HEIGHT) + SPARE, order.length);
    const reach = Math.max(...Array.from(scores.values, (value) => Math.abs(value) || 0)) || 1;
    const rows = order
      .slice(first, last)
      .map((unit, index) =>
        row(units[unit], first + index, scores.values[unit] / reach, scores, attribution.signed),
      );
    space.replaceChildren(...rows);
  };

  const row = (unit: Unit, index: number, strength: number, scores: Scores, signed: boolean) => {
    const { state } = store;
    const value = scores.values[unit.index];
    const [first, last] = model.span(state);
    const selected = first >= 0 && unit.last >= first && unit.first <= last;
    const width = Math.abs(strength) * (signed ? 50 : 100);
    const left = signed ? (strength < 0 ? 50 - width : 50) : 0;
    const drawn = !Number.isNaN(value) && bar(width, theme.colors.bar(value, signed, unit.special), left);
    const share = Number.isNaN(value) ? "no score" : formatPercent(scores.total ? value / scores.total : 0);
    const element = h(
      "div",
      {
        class: `bar-row${unit.special ? " special" : ""}${unit.index === model.unitOf(state, state.hover) ? " hovered" : ""}`,
        role: "option",
        id: `bar-${unit.index}`,
        "aria-selected": selected ? "true" : undefined,
        "aria-setsize": order.length,
        "aria-posinset": index + 1,
        "data-token": unit.first,
      },
      barLabel(unit.label),
      track(drawn, signed),
      barValue(share),
    );
    element.style.top = `${index * ROW_HEIGHT}px`;
    return element;
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
  on(element, {
    pointermove: (event) => {
      const token = numberAt(event, "token");
      actions.hover(token);
      if (token < 0) return tooltip.hide();
      const { state } = store;
      const unit = model.unitsShown(state)[model.unitOf(state, token)];
      const rows = scoreRows(model.scores(state), unit, model.attribution(state));
      return tooltip.show(event, unit.label, rows);
    },
    pointerleave: () => {
      actions.hover(-1);
      tooltip.hide();
    },
    click: (event) => {
      const token = numberAt(event, "token");
      if (token < 0) return;
      actions.select(token, { extend: event.shiftKey });
      element.focus({ preventScroll: true });
    },
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
  store.watch(["hover"], (state) => {
    const unit = `bar-${model.unitOf(state, state.hover)}`;
    for (const row of space.children) row.classList.toggle("hovered", row.id === unit);
  });
  theme.watch(paint);
  new ResizeObserver(paint).observe(element);
  return element;
}
