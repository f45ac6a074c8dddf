/** Faithfulness: verdict, completeness, agreement between methods, and metrics. */

import type { Context } from "../context";
import type { Attribution, Evaluation, Payload } from "../data/payload.generated";
import type { State } from "../state/store";
import { type Child, h, replace, svg } from "../ui/dom";
import { formatNumber, formatPercent } from "../ui/format";
import { bdi, note } from "../ui/parts";

export function trustView({ model, store, theme }: Context): HTMLElement {
  const strip = h("div", { class: "trust-strip" });
  const draw = () => {
    const { state } = store;
    const { evaluations } = model.payload;
    const verdicts = evaluations.filter((evaluation) => evaluation.verdict);
    const several = verdicts.length > 1;
    const metrics = new Map<string, Evaluation[]>();
    for (const evaluation of evaluations) {
      if (evaluation.verdict) continue;
      metrics.set(evaluation.metric, [...(metrics.get(evaluation.metric) ?? []), evaluation]);
    }
    const drawn = [theme.colors.get("unsigned"), theme.colors.get("muted"), theme.colors.get("line")];
    replace(
      strip,
      ...verdicts.map(({ about, verdict, reasons }) =>
        fact(
          (several && about) || "Verdict",
          verdict === "not evaluated" ? "not measured" : (verdict ?? ""),
          reasons.join(" "),
        ),
      ),
      !verdicts.length &&
        fact(
          "Verdict",
          "not measured",
          "No test was run: treat these scores as a hypothesis about the model, not as proof.",
        ),
      completenessCard(model.attribution(state), state, several ? model.reading(state)?.title : ""),
      agreementCard(model.payload, state),
      ...[...metrics.values()].map((group) => metricCard(group, drawn, several ? group[0].about : "")),
    );
  };
  store.watch(["attribution", "target", "targetEnd"], draw);
  theme.watch(draw);
  const tested = model.payload.readings.filter(({ verdict }) => verdict !== "not measured");
  const others = model.payload.readings.length > tested.length;
  return h(
    "div",
    { class: "trust" },
    tested.length > 0 &&
      others &&
      note(
        ...(tested.length > 1
          ? [`${tested.length} of ${model.payload.readings.length} maps were tested; the others were not.`]
          : ["Tested on the map ", h("strong", {}, bdi(tested[0].title)), "; other maps were not measured."]),
      ),
    strip,
  );
}

/** The part of the output's change that the scores do not account for. */
function completenessCard(
  attribution: Attribution | undefined,
  state: Readonly<State>,
  about = "",
): HTMLElement | null {
  if (!attribution) return null;
  const targets = attribution.targets.slice(state.target, state.targetEnd + 1);
  if (targets.some((target) => target.gap === null)) {
    return fact(
      "Completeness",
      "not guaranteed",
      "This method's scores need not sum to the output. Compare their magnitudes; do not interpret their sum.",
    );
  }
  const gap = targets.reduce((sum, target) => sum + (target.gap ?? 0), 0);
  const change = targets.reduce((sum, target) => sum + target.output - (target.baseline ?? 0), 0);
  return fact(
    "Completeness gap",
    change ? formatPercent(Math.abs(gap / change)) : "–",
    `${about && `${about} `}The output changes by ${formatNumber(change)} from the baseline; the scores sum to that with a gap of ${formatNumber(gap)}.`,
  );
}

function trustCard(name: string, ...content: Child[]): HTMLElement {
  return h("div", { class: "trust-card" }, h("h3", {}, bdi(name)), ...content);
}

/** A name, its value and what it means. */
function fact(name: string, value: string, words: string): HTMLElement {
  return trustCard(name, h("p", { class: "trust-value" }, bdi(value)), words && note(bdi(words)));
}

/** How well other attributions of the same targets agree with the one shown. */
function agreementCard({ agreements, attributions }: Payload, state: Readonly<State>): HTMLElement | null {
  const others = agreements.filter(({ first, second }) => [first, second].includes(state.attribution));
  if (!others.length) return null;
  const rows = others.map((pair) => {
    const other = attributions[pair.first === state.attribution ? pair.second : pair.first];
    const [correlation, overlap] = [pair.correlations[state.target], pair.overlaps[state.target]];
    const count = pair.counts[state.target];
    const top = overlap === null ? "" : `${Math.round(overlap * count)} of the top ${count} tokens shared`;
    return h(
      "div",
      { class: "trust-row" },
      bdi(`with ${other.methodWords}`),
      h("span", { class: "note" }, top),
      h("strong", {}, correlation === null ? "–" : formatNumber(correlation)),
    );
  });
  const sizes = others.some((pair) => !pair.signed) ? " For unsigned methods, magnitudes are compared." : "";
  const words = `Rank correlation of the token scores: 1 is the same order, 0 is no agreement.${sizes}`;
  return trustCard("Agreement between methods", ...rows, note(words));
}

/** One metric, with a row for each quantity and replacement. */
function metricCard(
  evaluations: readonly Evaluation[],
  [color, tick, line]: readonly string[],
  about: string,
): HTMLElement {
  const rows = evaluations.map((evaluation) => {
    const { control, controlWords, value, limits } = evaluation;
    const mean = control.reduce((sum, item) => sum + item, 0) / control.length;
    const tip = controlWords ? `mean over ${controlWords}: ${formatNumber(mean)}` : "no control";
    return h(
      "div",
      { class: "trust-row", title: tip },
      bdi(evaluation.condition || "value"),
      (evaluation.curve.length > 1 || control.length > 0) &&
        h(
          "span",
          { class: "trust-pictures" },
          evaluation.curve.length > 1 && curve(evaluation, color, line),
          control.length > 0 && value !== null && band(evaluation, value, color, tick),
        ),
      limits && h("span", { class: "note" }, limits),
      h("strong", {}, evaluation.valueWords),
    );
  });
  const words = [
    `${evaluations[0].higherIsBetter ? "Higher" : "Lower"} is better.`,
    ...new Set(
      evaluations.map((evaluation) => evaluation.controlWords && `Ticks: ${evaluation.controlWords}.`),
    ),
    evaluations.some((evaluation) => evaluation.limits) &&
      "0 and 1 are the lowest and highest values that any removal order can give.",
    ...new Set(evaluations.flatMap((evaluation) => evaluation.reasons)),
  ];
  return trustCard(
    evaluations[0].question,
    about && note(bdi(about)),
    ...rows,
    note(bdi(words.filter(Boolean).join(" "))),
  );
}

/** The value among the control's values, on the range of possible values if known. */
function band(
  { control, controlWords, limits }: Evaluation,
  value: number,
  color: string,
  line: string,
): SVGSVGElement {
  const [low, high] = limits ? [0, 1] : [Math.min(value, ...control), Math.max(value, ...control)];
  const span = high - low || 1;
  const x = (item: number) => 6 + ((item - low) / span) * 78;
  return svg(
    "svg",
    {
      class: "band",
      viewBox: "0 0 90 18",
      role: "img",
      "aria-label": `${formatNumber(value)}, compared with ${control.length} ${controlWords}`,
    },
    svg("line", { x1: 4, x2: 86, y1: 9, y2: 9, stroke: line, "stroke-width": 1 }),
    ...control
      .slice(0, 200)
      .map((item) =>
        svg("line", { x1: x(item), x2: x(item), y1: 5, y2: 13, stroke: line, "stroke-width": 1.5 }),
      ),
    svg("circle", { cx: x(value), cy: 9, r: 4, fill: color }),
  );
}

function curve(evaluation: Evaluation, color: string, line: string): SVGSVGElement {
  const [xs, ys] = [0, 1].map((axis) => evaluation.curve.map((point) => point[axis]));
  const scale = (values: readonly number[], length: number) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return (value: number) => 3 + ((value - low) / (high - low || 1)) * (length - 6);
  };
  const [x, y] = [scale(xs, 90), scale(ys, 26)];
  const d = evaluation.curve.map(
    (point, index) => `${index ? "L" : "M"}${x(point[0]).toFixed(1)} ${(26 - y(point[1])).toFixed(1)}`,
  );
  return svg(
    "svg",
    {
      class: "curve",
      viewBox: "0 0 90 26",
      role: "img",
      "aria-label": `Curve of ${evaluation.metric}, ${evaluation.curve.length} points`,
    },
    svg("path", { d: "M3 25H87", stroke: line, fill: "none" }),
    svg("path", {
      d: d.join(""),
      stroke: color,
      "stroke-width": 1.5,
      fill: "none",
      "stroke-linejoin": "round",
    }),
  );
}
