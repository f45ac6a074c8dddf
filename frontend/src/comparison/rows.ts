/** Both values of each unit and their difference as bars on one scale; of many units, the largest. */

import type { ComparedAttribution } from "../data/payload.generated";
import { h, on, replace } from "../ui/dom";
import { counted } from "../ui/format";
import { bar, barLabel, barValue, note, numberAt, track } from "../ui/parts";
import { attributionOf, type ComparisonContext, differenceWords, valueWords } from "./state";

const MAX_ROWS = 60;

export function rowsView({ payload, store, theme }: ComparisonContext): HTMLElement {
  const rows = h("ul", { class: "compared" });
  const words = note();

  const draw = () => {
    const { state } = store;
    const part = attributionOf(payload, state);
    if (!part) return;
    const [first, second, difference] = [part.first, part.second, part.differences].map(
      (values) => values[state.target],
    );
    const size = (unit: number) =>
      Math.abs(difference[unit] ?? 0) ||
      Math.max(Math.abs(first[unit] ?? 0), Math.abs(second[unit] ?? 0)) / 1e6;
    const order = Array.from(part.labels.keys()).sort((a, b) => size(b) - size(a) || a - b);
    const drawn = order.slice(0, MAX_ROWS);
    if (state.sort === "position") drawn.sort((a, b) => a - b);
    const line = (value: number | null, color: string) => {
      if (!value) return track(null, true);
      const width = (50 * Math.abs(value)) / Math.max(part.reach, Math.abs(value));
      return track(bar(width, color, value < 0 ? 50 - width : 50), true);
    };
    const { colors } = theme;
    const base = baseUnits(part);
    replace(
      rows,
      ...drawn.map((unit) => {
        const change = difference[unit];
        return h(
          "li",
          { class: part.special[unit] ? "special" : "", "data-unit": base[unit] },
          barLabel(part.labels[unit]),
          line(first[unit], colors.get("muted")),
          barValue(valueWords(part, first[unit])),
          line(second[unit], colors.get("text")),
          barValue(valueWords(part, second[unit])),
          line(change, colors.get((change ?? 0) < 0 ? "against" : "supports")),
          barValue(differenceWords(part, change)),
        );
      }),
    );
    const hiddenCount = part.labels.length - drawn.length;
    words.textContent = `All bars share one scale centered on zero.${hiddenCount > 0 ? ` ${counted(hiddenCount, "token")} with smaller differences not shown.` : ""}`;
    mark();
  };
  const mark = () => {
    for (const row of rows.querySelectorAll<HTMLElement>("li")) {
      const unit = Number(row.dataset.unit);
      row.classList.toggle("selected", unit >= 0 && unit === store.state.focus);
      row.classList.toggle("hovered", unit >= 0 && unit === store.state.hover);
    }
  };
  on(rows, {
    pointermove: (event) => store.set({ hover: numberAt(event, "unit") }),
    pointerleave: () => store.set({ hover: -1 }),
    click: (event) => store.set({ focus: numberAt(event, "unit") }),
  });
  store.watch(["attribution", "target", "sort"], draw);
  store.watch(["hover", "focus"], mark);
  theme.watch(draw);
  return h(
    "div",
    {},
    h(
      "div",
      { class: "compared-head", "aria-hidden": "true" },
      h("span", {}),
      ...["first", "second", "difference"].map((words) => h("span", { class: "note" }, words)),
    ),
    rows,
    words,
  );
}

/** For each unit of a part, the first unit of the texts it stands for; -1 if none. */
function baseUnits(part: ComparedAttribution): number[] {
  return part.labels.map((_, unit) => part.units.indexOf(unit));
}
