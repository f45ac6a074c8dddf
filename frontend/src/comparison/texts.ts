/** Both texts side by side; hovering in one highlights the aligned token in the other. */

import { clamp } from "../data/clamp";
import { h, on } from "../ui/dom";
import { bdi, numberAt, paintWord } from "../ui/parts";
import { type Piece, paragraphs } from "../views/saliency/text";
import {
  attributionOf,
  type ComparisonContext,
  type ComparisonState,
  differenceWords,
  largestDifference,
  type Side,
  unitLabel,
  valueWords,
} from "./state";

export function textsView(context: ComparisonContext): HTMLElement {
  return h("div", { class: "two-texts" }, ...([0, 1] as const).map((side) => oneText(context, side)));
}

function oneText({ payload, store, theme, tooltip }: ComparisonContext, side: Side): HTMLElement {
  const table = payload.tables[side];
  const pieces: Piece[] = [];
  const unitOfToken = new Map<number, number>();
  payload.kinds.forEach((_, unit) => {
    if (payload.pairs[2 * unit + side] >= 0) unitOfToken.set(payload.pairs[2 * unit + side], unit);
  });
  const box = h(
    "div",
    {
      class: "text",
      role: "listbox",
      tabindex: 0,
      dir: "auto",
      "aria-label": `Tokens of the ${side ? "second" : "first"} text`,
      "data-view": "text",
    },
    ...paragraphs(table, pieces, payload.continues),
  );
  const unitOf = (piece: Piece) => unitOfToken.get(piece.token) ?? -1;
  for (const piece of pieces) {
    const unit = unitOf(piece);
    if (unit < 0) continue;
    piece.element.dataset.unit = String(unit);
    piece.element.id = `text-${side}-${piece.element.id}`;
    const kind = payload.kinds[unit];
    if (kind !== "same") piece.element.classList.add(kind.replace(" ", "-"));
  }

  const paint = (state: Readonly<ComparisonState>) => {
    const part = attributionOf(payload, state);
    const signed = state.shown === "difference" || (part?.signed ?? false);
    const values = !part
      ? []
      : state.shown === "difference"
        ? part.differences[state.target]
        : (side ? part.second : part.first)[state.target];
    const reach = !part
      ? 1
      : state.shown === "difference"
        ? largestDifference(part, state.target)
        : part.reach;
    for (const piece of pieces) {
      const unit = unitOf(piece);
      const { classList } = piece.element;
      const strength = ((unit < 0 || !part ? null : values[part.units[unit]]) ?? 0) / reach;
      paintWord(piece.element, theme.colors, piece.pill ? 0 : strength, signed);
      classList.toggle("hovered", unit >= 0 && unit === state.hover);
      classList.toggle("selected", unit >= 0 && unit === state.focus);
      if (unit < 0) continue;
      if (unit === state.focus) piece.element.setAttribute("aria-selected", "true");
      else piece.element.removeAttribute("aria-selected");
    }
    const active = pieces.find((piece) => unitOf(piece) >= 0 && unitOf(piece) === state.focus);
    if (active) box.setAttribute("aria-activedescendant", active.element.id);
    else box.removeAttribute("aria-activedescendant");
  };

  on(box, {
    pointermove: (event) => {
      const unit = numberAt(event, "unit");
      store.set({ hover: unit });
      if (unit < 0) return tooltip.hide();
      const rows = unitRows({ payload, store, theme, tooltip }, unit);
      return tooltip.show(event, unitLabel(payload, unit), rows);
    },
    pointerleave: () => {
      store.set({ hover: -1 });
      tooltip.hide();
    },
    click: (event) => {
      store.set({ focus: numberAt(event, "unit") });
      box.focus({ preventScroll: true });
    },
    keydown: (event) => {
      const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      const units = [...unitOfToken.values()];
      if (!by || !units.length) return;
      event.preventDefault();
      const index = units.indexOf(store.state.focus);
      store.set({ focus: units[index < 0 ? 0 : clamp(index + by, 0, units.length - 1)] });
    },
  });
  store.watch(["hover", "focus", "attribution", "target", "shown"], paint);
  theme.watch(() => paint(store.state));
  return h("div", {}, h("h3", {}, bdi(payload.names[side])), box);
}

/** Both values of a unit and their difference, as names and values. */
export function unitRows({ payload, store }: ComparisonContext, unit: number): [string, string][] {
  const { state } = store;
  const part = attributionOf(payload, state);
  const kind = payload.kinds[unit];
  const rows: [string, string][] = kind.endsWith("only") ? [["in", kind.replace(" only", " text only")]] : [];
  const partUnit = part?.units[unit] ?? -1;
  if (!part || partUnit < 0) return rows;
  return [
    ["first", valueWords(part, part.first[state.target][partUnit])],
    ["second", valueWords(part, part.second[state.target][partUnit])],
    ["difference", differenceWords(part, part.differences[state.target][partUnit])],
    ...rows,
  ];
}
