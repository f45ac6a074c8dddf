/** The text, colored by its scores. */

import type { Context } from "../../context";
import type { AnswerMark, Attribution, Table } from "../../data/payload.generated";
import type { Scores } from "../../data/units";
import { matches } from "../../state/actions";
import type { State } from "../../state/store";
import { type Colors, textOn } from "../../ui/colors";
import { h, on } from "../../ui/dom";
import { formatPercent } from "../../ui/format";
import { numberAt } from "../../ui/parts";
import { scoreRows } from "../../words";

const LONG = 100; // tokens above which a narrow screen shows the text smaller

export interface Piece {
  readonly element: HTMLElement;
  /** The first token of its unit at token level; -1 between tokens. */
  readonly token: number;
  readonly pill: boolean;
}

export function textView({ model, store, actions, theme, tooltip }: Context): HTMLElement {
  const element = h("div", {
    class: "text",
    role: "listbox",
    tabindex: 0,
    "aria-label": "Tokens of the text",
    "aria-multiselectable": "true",
    dir: "auto",
    "data-view": "text",
  });
  let pieces: Piece[] = [];
  let shownTable = -1;

  const build = (state: Readonly<State>) => {
    const index = model.tableIndex(state);
    if (index === shownTable) return;
    shownTable = index;
    element.classList.toggle("long", model.payload.tables[index].labels.length > LONG);
    pieces = [];
    const { sides = [], second = -1 } = model.attribution(state) ?? {};
    const goesOn = index === model.generation?.table && !sides.length;
    element.replaceChildren(...paragraphs(model.payload.tables[index], pieces, goesOn, sides, second));
    markPieces(pieces, model.marks(state));
  };

  const paint = (state: Readonly<State>) => {
    const colors = theme.colors;
    const attribution = model.attribution(state);
    const scores = model.scores(state);
    const table = model.table(state);
    const groups = table.groups[state.level];
    const isFaded = model.isFaded(state);
    const matching = new Set(matches(model, state));
    const targets = targetTokens(state, attribution);
    const reading = model.reading(state);
    const shown = reading ? model.payload.readings.indexOf(reading) : -1;
    const marks = model.marks(state);
    element.classList.toggle("joined", state.level !== "token");
    unmark();
    byUnit.clear();
    let before = -1;
    pieces.forEach((piece, index) => {
      let unit = piece.token < 0 ? -1 : groups[piece.token];
      if (unit < 0 && before >= 0 && groups[pieces[index + 1]?.token ?? -1] === before) unit = before;
      if (piece.token >= 0) before = unit;
      const unitPieces = byUnit.get(unit);
      if (unitPieces) unitPieces.push(piece);
      else byUnit.set(unit, [piece]);
      const isScored =
        unit >= 0 && !!scores && (piece.token < 0 || !Number.isNaN(tokenOf(scores, table, piece)));
      const strength = isScored && scores.reach && !piece.pill ? scores.values[unit] / scores.reach : 0;
      paintPiece(piece.element, colors, strength, attribution?.signed ?? false, isFaded);
      const { classList } = piece.element;
      classList.toggle("match", matching.has(unit));
      classList.toggle("target", piece.token >= targets[0] && piece.token <= targets[1] && piece.token >= 0);
      classList.toggle("shown", shown >= 0 && marks[Number(piece.element.dataset.mark)]?.opens === shown);
      classList.toggle("unscored", piece.token >= 0 && !isScored && !!attribution);
    });
    mark(state);
  };

  /** The pieces of each unit, and the marked units: updates need not visit a whole long text. */
  const byUnit = new Map<number, Piece[]>();
  let hovered = -1;
  let selected: [number, number] = [0, -1];
  const toggle = (unit: number, name: "hovered" | "selected", on: boolean) => {
    for (const { element: span, token } of (unit >= 0 && byUnit.get(unit)) || []) {
      span.classList.toggle(name, on);
      if (name === "hovered" || token < 0) continue;
      if (on) span.setAttribute("aria-selected", "true");
      else span.removeAttribute("aria-selected");
    }
  };
  const unmark = () => {
    toggle(hovered, "hovered", false);
    for (let unit = selected[0]; unit <= selected[1]; unit++) toggle(unit, "selected", false);
    hovered = -1;
    selected = [0, -1];
  };
  const mark = (state: Readonly<State>) => {
    const groups = model.table(state).groups[state.level];
    const [first, last] = model.span(state);
    unmark();
    hovered = groups[state.hover] ?? -1;
    selected = first < 0 ? [0, -1] : [groups[first], groups[last]];
    toggle(hovered, "hovered", true);
    for (let unit = selected[0]; unit <= selected[1]; unit++) toggle(unit, "selected", true);
    const active = byUnit.get(groups[state.focus] ?? -1)?.find((piece) => piece.token >= 0);
    if (active) element.setAttribute("aria-activedescendant", active.element.id);
    else element.removeAttribute("aria-activedescendant");
  };

  const targetTokens = (state: Readonly<State>, attribution: Attribution | undefined): [number, number] => {
    const { generation } = model;
    if (!generation || !attribution || !model.followsSteps(attribution)) return [-2, -2];
    if (model.isWhole(state)) return [-2, -2];
    const steps = [attribution.targets[state.target].step, attribution.targets[state.targetEnd].step];
    return [generation.promptLength + steps[0], generation.promptLength + steps[1]];
  };

  on(element, {
    pointermove: (event) => {
      const token = numberAt(event, "token");
      actions.hover(token);
      if (token < 0) tooltip.hide();
      else showTip(event, token);
    },
    pointerleave: () => {
      actions.hover(-1);
      tooltip.hide();
    },
    click: (event) => {
      const token = numberAt(event, "token");
      const mark = model.marks(store.state)[numberAt(event, "mark")];
      if (mark && mark.opens >= 0 && !event.shiftKey)
        actions.open(mark.opens, token < 0 ? mark.first : token);
      else if (token >= 0) actions.select(token, { extend: event.shiftKey });
      element.focus({ preventScroll: true });
    },
    mousedown: (event) => {
      if (event.shiftKey) event.preventDefault(); // else the browser selects the text in between
    },
    keydown: (event) => {
      const { focus } = store.state;
      if (event.key !== "Enter" || focus < 0) return;
      const mark = model.marks(store.state).find(({ first, last }) => focus >= first && focus <= last);
      if (mark && mark.opens >= 0) actions.open(mark.opens, focus);
    },
  });

  const showTip = (event: MouseEvent, token: number) => {
    const { state } = store;
    const units = model.unitsShown(state);
    const unit = units[model.unitOf(state, token)];
    const table = model.table(state);
    const rows = scoreRows(model.scores(state), unit, model.attribution(state));
    if (unit.first === unit.last) {
      rows.push(
        ["position", String(token)],
        ["token ID", String(table.ids[token])],
        ["raw token", table.pieces[token]],
      );
    } else {
      rows.push(["tokens", `${unit.first}–${unit.last}`]);
    }
    const step = model.tableIndex(state) === model.generation?.table ? model.stepOfToken(token) : -1;
    if (step >= 0) rows.push(["probability", formatPercent(model.generation!.probabilities[step])]);
    tooltip.show(event, unit.label, rows);
  };

  store.watch(["attribution", "target", "targetEnd", "level", "search"], (state) => {
    build(state);
    paint(state);
  });
  store.watch(["anchor", "focus", "hover"], mark);
  theme.watch(() => paint(store.state));
  /** In a long text, show what the map on screen is about. */
  const reveal = () => {
    const shown = element.querySelector<HTMLElement>(".shown");
    if (shown) scrollWithin(element, shown);
  };
  store.watch(["attribution", "target"], () => requestAnimationFrame(reveal));
  store.watch(["focus"], (state) => {
    if (!element.isConnected || state.focus < 0) return;
    const piece = pieces.find((candidate) => candidate.token >= state.focus);
    if (piece) scrollWithin(element, piece.element);
  });
  return element;
}

/** Underline what the answer is about, with its label behind it. */
function markPieces(pieces: readonly Piece[], marks: readonly AnswerMark[]): void {
  marks.forEach(({ first, last, label, value, opens }, index) => {
    const inside = pieces.filter(({ token }) => token >= first && token <= last);
    const [from, to] = [pieces.indexOf(inside[0]), pieces.indexOf(inside.at(-1)!)];
    for (const { element } of inside.length ? pieces.slice(from, to + 1) : []) {
      element.classList.add("marked");
      element.dataset.mark = String(index);
      element.classList.toggle("opens", opens >= 0);
    }
    const end = inside.at(-1)?.element;
    if (end) end.dataset.label = label;
    if (end) end.setAttribute("aria-label", `${end.textContent}, ${label} ${value}`);
  });
}

export function paragraphs(
  table: Table,
  pieces: Piece[],
  goesOn: boolean,
  sides: readonly string[] = [],
  second = -1,
): HTMLElement[] {
  const { runs } = table;
  const firsts = new Map<number, number>();
  table.groups.token.forEach((unit, token) => {
    if (!firsts.has(unit)) firsts.set(unit, token);
  });
  const parts = [document.createDocumentFragment()];
  let opened = 0;
  runs.texts.forEach((text, index) => {
    // A token without a place in the text, such as a decoder's start, belongs to its text nevertheless.
    const token = runs.units[index] < 0 ? -1 : firsts.get(runs.units[index])!;
    const source = second >= 0 && token >= second ? Math.max(runs.sources[index], 1) : runs.sources[index];
    if (source > opened) {
      opened = source;
      // A continuation follows its prompt in the same paragraph.
      if (!goesOn) parts.push(document.createDocumentFragment());
    }
    const pill = token >= 0 && (runs.pills[index] || table.special[token]);
    const element =
      token < 0
        ? h("span", { class: "between" }, text)
        : h(
            pill ? "bdi" : "span",
            {
              class: pill ? "pill" : table.unknown[token] ? "token unknown" : "token",
              role: "option",
              id: `token-${token}-${index}`,
              "data-token": token,
            },
            text,
          );
    pieces.push({ element, token, pill });
    parts.at(-1)!.append(element);
  });
  return parts.map((part, index) => {
    const side = sides[index] && h("span", { class: "side", role: "presentation" }, sides[index]);
    const paragraph = h("div", { class: "paragraph", role: "presentation" }, side, part);
    // Last: the browser recomputes the direction for every child added to an element with dir=auto.
    paragraph.dir = "auto";
    return paragraph;
  });
}

const MIN_STRENGTH = 0.06; // below it a word keeps the page's color
const FADED = 0.5; // the strongest color of a map that the test does not support

/** Color a piece of the text; of a map that is not supported, with pale stripes. */
export function paintPiece(
  { style, dataset, classList }: HTMLElement,
  colors: Colors,
  strength: number,
  signed: boolean,
  isFaded: boolean,
  least = MIN_STRENGTH,
): void {
  const shown = Math.max(Math.min(strength, 1), -1) * (isFaded ? FADED : 1);
  const face = Math.abs(strength) >= least ? colors.score(shown, signed) : "";
  // Where colors are forced, the strength is the weight of an underline.
  style.setProperty("--strength", face && Math.abs(shown).toFixed(2));
  classList.toggle("opposes", signed && strength < 0);
  if (face) dataset.face = face;
  else delete dataset.face;
  style.background =
    face && isFaded ? `repeating-linear-gradient(-45deg, ${face} 0 5px, transparent 5px 9px)` : face;
  style.color = face && !isFaded ? textOn(face) : "";
}

/** The score of a piece: of the first token of its visible character that has one. */
function tokenOf({ tokens }: Scores, { groups }: Table, { token }: Piece): number {
  let last = token;
  while (Number.isNaN(tokens[last]) && groups.token[last + 1] === groups.token[token]) last++;
  return tokens[last];
}

function scrollWithin(box: HTMLElement, element: HTMLElement): void {
  if (box.scrollHeight <= box.clientHeight) return;
  const [outer, inner] = [box.getBoundingClientRect(), element.getBoundingClientRect()];
  if (inner.top < outer.top) box.scrollTop -= outer.top - inner.top + 24;
  else if (inner.bottom > outer.bottom) box.scrollTop += inner.bottom - outer.bottom + 24;
}
