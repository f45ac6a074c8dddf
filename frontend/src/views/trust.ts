/** How far the explanation may be believed, as far as anyone has checked. */

import type { Context } from "../context";
import { h, replace, svg } from "../dom";
import { number, percent } from "../format";
import type { Attribution, Evaluation } from "../payload.generated";
import type { State } from "../store";

export function trustView({ model, store, theme }: Context): HTMLElement {
  const strip = h("div", { class: "trust-strip" });
  const draw = () => {
    const { state } = store;
    const { evaluations } = model.payload;
    const cards = [
      completenessCard(model.attribution(state), state),
      ...evaluations.map((evaluation) =>
        evaluationCard(evaluation, theme.colours.get("unsigned"), theme.colours.get("line")),
      ),
    ];
    if (!evaluations.length) {
      cards.push(
        card(
          "Evaluation",
          "not evaluated",
          "Nobody has measured whether these scores say what the model does. Treat them as a lead, not as proof.",
        ),
      );
    }
    replace(strip, ...cards);
  };
  store.watch(["attribution", "target", "targetEnd"], draw);
  theme.watch(draw);
  return h(
    "section",
    { class: "card trust", "aria-labelledby": "trust-title" },
    h("h2", { id: "trust-title" }, "How far to believe it"),
    strip,
  );
}

/** The gap as words: how much of the change the scores do not account for. */
export function completenessWords(
  attribution: Attribution | undefined,
  first: number,
  last: number,
): [string, string] | null {
  if (!attribution) return null;
  const targets = attribution.targets.slice(first, last + 1);
  if (targets.some((target) => target.gap === null)) {
    return [
      "not promised",
      "This method's scores need not add up to the output; their sizes compare, their sum means nothing.",
    ];
  }
  const gap = targets.reduce((sum, target) => sum + (target.gap ?? 0), 0);
  const change = targets.reduce((sum, target) => sum + target.output - (target.baseline ?? 0), 0);
  const share = change ? percent(Math.abs(gap / change)) : "–";
  return [
    `gap ${share}`,
    `The scores add up to the change of the output (${number(change)}) but for ${number(gap)}.`,
  ];
}

function completenessCard(attribution: Attribution | undefined, state: Readonly<State>): HTMLElement | null {
  const words = completenessWords(attribution, state.target, state.targetEnd);
  return words && card("Completeness", ...words);
}

function card(name: string, value: string, words: string, ...more: Element[]): HTMLElement {
  return h(
    "div",
    { class: "trust-card" },
    h("h3", {}, h("bdi", {}, name)),
    h("p", { class: "trust-value" }, h("bdi", {}, value)),
    ...more,
    words && h("p", { class: "note" }, h("bdi", {}, words)),
  );
}

function evaluationCard(evaluation: Evaluation, colour: string, line: string): HTMLElement {
  const { control, value } = evaluation;
  if (evaluation.verdict) return card("Verdict", evaluation.verdict, evaluation.reasons.join(" "));
  const better = `${evaluation.higherIsBetter ? "higher" : "lower"} is better`;
  const mean = control.length ? control.reduce((sum, item) => sum + item, 0) / control.length : null;
  const words = evaluation.reasons.join(" ");
  const against = mean === null ? "no random orders to compare with" : `random orders: ${number(mean)}`;
  return card(
    evaluation.metric,
    evaluation.valueWords,
    `${words ? `${words} · ` : ""}${better} · ${against}`,
    ...(evaluation.curve.length > 1 ? [curve(evaluation, colour, line)] : []),
    ...(control.length ? [band(value, control, colour, line)] : []),
  );
}

/** Where the value stands among random orders. */
function band(value: number, control: readonly number[], colour: string, line: string): SVGSVGElement {
  const low = Math.min(value, ...control);
  const span = Math.max(value, ...control) - low || 1;
  const x = (item: number) => 6 + ((item - low) / span) * 148;
  return svg(
    "svg",
    {
      class: "band",
      viewBox: "0 0 160 18",
      role: "img",
      "aria-label": `${number(value)} against ${control.length} random orders`,
    },
    svg("line", { x1: 4, x2: 156, y1: 9, y2: 9, stroke: line, "stroke-width": 1 }),
    ...control
      .slice(0, 200)
      .map((item) =>
        svg("line", { x1: x(item), x2: x(item), y1: 5, y2: 13, stroke: line, "stroke-width": 2 }),
      ),
    svg("circle", { cx: x(value), cy: 9, r: 5, fill: colour }),
  );
}

function curve(evaluation: Evaluation, colour: string, line: string): SVGSVGElement {
  const [xs, ys] = [0, 1].map((axis) => evaluation.curve.map((point) => point[axis]));
  const scale = (values: readonly number[], length: number) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return (value: number) => 3 + ((value - low) / (high - low || 1)) * (length - 6);
  };
  const [x, y] = [scale(xs, 160), scale(ys, 46)];
  const d = evaluation.curve.map(
    (point, place) => `${place ? "L" : "M"}${x(point[0]).toFixed(1)} ${(46 - y(point[1])).toFixed(1)}`,
  );
  return svg(
    "svg",
    {
      class: "curve",
      viewBox: "0 0 160 46",
      role: "img",
      "aria-label": `Curve of ${evaluation.metric}, ${evaluation.curve.length} points`,
    },
    svg("path", { d: "M3 43H157", stroke: line, fill: "none" }),
    svg("path", {
      d: d.join(""),
      stroke: colour,
      "stroke-width": 2,
      fill: "none",
      "stroke-linejoin": "round",
    }),
  );
}
