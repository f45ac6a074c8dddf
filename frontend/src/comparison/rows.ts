/** Both values of each unit and their difference as bars on one scale; of many the largest. */

import { h, replace } from "../dom";
import type { ComparedAttribution } from "../payload.generated";
import { attributionOf, type ComparisonContext, differenceWords, valueWords } from "./state";

const MOST = 60;

export function rowsView({ payload, store, theme }: ComparisonContext): HTMLElement {
  const list = h("ul", { class: "compared" });
  const note = h("p", { class: "note" });

  const draw = () => {
    const { state } = store;
    const part = attributionOf(payload, state);
    if (!part) return;
    const [first, second, difference] = [part.first, part.second, part.differences].map(
      (rows) => rows[state.target],
    );
    const size = (unit: number) =>
      Math.abs(difference[unit] ?? 0) ||
      Math.max(Math.abs(first[unit] ?? 0), Math.abs(second[unit] ?? 0)) / 1e6;
    const order = Array.from(part.labels.keys()).sort((a, b) => size(b) - size(a) || a - b);
    const drawn = order.slice(0, MOST);
    if (state.sort === "position") drawn.sort((a, b) => a - b);
    const bar = (value: number | null, colour: string) => {
      const width = (50 * Math.abs(value ?? 0)) / Math.max(part.reach, Math.abs(value ?? 0));
      const element = h("span", { class: "bar" });
      element.style.width = `${width}%`;
      element.style.left = `${(value ?? 0) < 0 ? 50 - width : 50}%`;
      element.style.background = colour;
      return h("span", { class: "track signed" }, !!value && element);
    };
    const { colours } = theme;
    const base = baseUnits(part);
    replace(
      list,
      ...drawn.map((unit) => {
        const change = difference[unit];
        return h(
          "li",
          { class: part.special[unit] ? "special" : "", "data-unit": base[unit] },
          h("bdi", { class: "bar-label" }, part.labels[unit]),
          bar(first[unit], colours.get("muted")),
          h("span", { class: "bar-value" }, valueWords(part, first[unit])),
          bar(second[unit], colours.get("text")),
          h("span", { class: "bar-value" }, valueWords(part, second[unit])),
          bar(change, colours.get((change ?? 0) < 0 ? "against" : "supports")),
          h("span", { class: "bar-value" }, differenceWords(part, change)),
        );
      }),
    );
    const left = part.labels.length - drawn.length;
    note.textContent = `All bars are on one scale around zero.${left > 0 ? ` ${left} more tokens that differ less are not drawn.` : ""}`;
    mark();
  };
  const mark = () => {
    for (const row of list.querySelectorAll<HTMLElement>("li")) {
      const unit = Number(row.dataset.unit);
      row.classList.toggle("selected", unit >= 0 && unit === store.state.focus);
      row.classList.toggle("hovered", unit >= 0 && unit === store.state.hover);
    }
  };
  const unitAt = (event: Event): number =>
    Number((event.target as Element).closest<HTMLElement>("[data-unit]")?.dataset.unit ?? -1);
  list.addEventListener("pointermove", (event) => store.set({ hover: unitAt(event) }));
  list.addEventListener("pointerleave", () => store.set({ hover: -1 }));
  list.addEventListener("click", (event) => store.set({ focus: unitAt(event) }));
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
    list,
    note,
  );
}

/** For each unit of a part the first unit of the texts that it stands for, -1 none. */
function baseUnits(part: ComparedAttribution): number[] {
  return part.labels.map((_, own) => part.units.indexOf(own));
}
