/** Both texts, one above the other; pointing in one highlights the aligned token in the other. */

import { clamp } from "../data/clamp";
import { h, on } from "../ui/dom";
import { numberAt } from "../ui/parts";
import { type Piece, paintPiece, paragraphs } from "../views/saliency/text";
import { sideTitle } from "./header";
import {
  type ComparisonContext,
  type ComparisonState,
  changeOf,
  differenceWords,
  labelOf,
  type Side,
  sharesOf,
  shownOf,
  valueWords,
} from "./state";

const NEUTRAL = 0.02; // part of the scale below which a difference has no color

export function textsView(context: ComparisonContext): HTMLElement {
  return h("div", { class: "two-texts" }, ...([0, 1] as const).map((side) => oneText(context, side)));
}

function oneText(context: ComparisonContext, side: Side): HTMLElement {
  const { payload, store, theme, tooltip } = context;
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
    const shown = shownOf(payload, state);
    const isDifference = state.shown === "difference";
    const isFaded = shown?.target.trust[side].verdict === "not supported";
    box.classList.toggle("joined", shown?.level.name === "word");
    for (const piece of pieces) {
      const unit = unitOf(piece);
      const own = unit < 0 || !shown ? -1 : shown.level.units[unit];
      const value =
        own < 0 || !shown
          ? null
          : isDifference
            ? changeOf(shown, own)
            : shown.target[side ? "second" : "first"][own];
      const strength = (value ?? 0) / (shown?.target.full ?? 1);
      const signed = isDifference || (shown?.part.signed ?? false);
      paintPiece(piece.element, theme.colors, piece.pill ? 0 : strength, signed, isFaded, NEUTRAL);
    }
    mark(state);
  };
  const mark = (state: Readonly<ComparisonState>) => {
    const units = shownOf(payload, state)?.level.units;
    const isSame = (unit: number, other: number) =>
      unit >= 0 &&
      other >= 0 &&
      (unit === other || (!!units && units[unit] >= 0 && units[unit] === units[other]));
    const query = state.search.trim().toLocaleLowerCase();
    for (const piece of pieces) {
      const unit = unitOf(piece);
      const { classList } = piece.element;
      classList.toggle("hovered", isSame(unit, state.hover));
      classList.toggle("selected", isSame(unit, state.focus));
      classList.toggle(
        "match",
        !!query && unit >= 0 && table.labels[piece.token].toLocaleLowerCase().includes(query),
      );
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
      return tooltip.show(event, ...unitTip(context, unit));
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
  store.watch(["attribution", "level", "target", "shown"], paint);
  store.watch(["hover", "focus", "search"], mark);
  store.watch(["focus"], (state) => {
    const piece = pieces.find((candidate) => unitOf(candidate) === state.focus && state.focus >= 0);
    if (!piece || box.scrollHeight <= box.clientHeight) return;
    box.scrollTop = piece.element.offsetTop - box.offsetTop - box.clientHeight / 2;
  });
  theme.watch(() => paint(store.state));
  return h("section", {}, sideTitle(context, side), box);
}

/** The heading and rows of a unit's tooltip: both values, both shares, and the difference. */
function unitTip({ payload, store }: ComparisonContext, unit: number): [string, [string, string][]] {
  const shown = shownOf(payload, store.state);
  const own = shown?.level.units[unit] ?? -1;
  if (!shown || own < 0) {
    const [first, second] = [0, 1].map((side) => payload.tables[side].labels[payload.pairs[2 * unit + side]]);
    return [first === second || !second ? first : first ? `${first} → ${second}` : second, []];
  }
  const { part, level, target } = shown;
  const rows: [string, string][] = [];
  if (level.kinds[own].endsWith("only")) rows.push(["in", level.kinds[own].replace(" only", " text only")]);
  rows.push(
    ["first", valueWords(part, target.first[own])],
    ["second", valueWords(part, target.second[own])],
    ["difference", differenceWords(part, changeOf(shown, own))],
  );
  if (part.measure === "score") {
    const shares = [target.first, target.second].map((values) => sharesOf(values)[own]);
    const [first, second] = shares.map((share) => valueWords({ ...part, measure: "share" }, share));
    rows.push(["share of all scores", `${first} → ${second}`]);
  }
  return [labelOf(level, own), rows];
}
