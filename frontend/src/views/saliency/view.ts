/** Saliency: the colored text and the strongest words beside it, then controls and all scores. */

import type { Context } from "../../context";
import type { Model } from "../../data/model";
import { exportMenu } from "../../export/menu";
import { h, picker, replace, segmented } from "../../ui/dom";
import { scaleSwatches } from "../../ui/legend";
import { bdi, key } from "../../ui/parts";
import { selectionWords } from "../../words";
import { barsView } from "./bars";
import { saliencyExport } from "./export";
import { textView } from "./text";
import { topView } from "./top";

export function saliencyView(context: Context): HTMLElement {
  const { model, store, actions, theme } = context;
  const { attributions } = model.payload;
  const hasScores = attributions.length > 0;
  const level = segmented(
    "Granularity",
    [
      { value: "token", label: "Tokens" },
      { value: "word", label: "Words" },
      { value: "sentence", label: "Sentences" },
    ],
    (value) => store.set({ level: value }),
  );
  const which = picker(
    "Map",
    attributions.slice(0, model.choices).map((_, index) => nameOf(model, index)),
    (index) => actions.showAttribution(index),
  );
  const targets = h("div", { class: "targets" });
  let showTarget: (index: number) => void = () => undefined;
  const facts = h("p", { class: "note facts" });
  const legend = h("p", { class: "legend" });
  const readout = h("p", { class: "readout", role: "status" });
  const text = textView(context);

  store.watch(["attribution", "target"], (state) => {
    which.element.hidden = targets.hidden = model.isContrast(state);
  });
  store.watch(["attribution"], (state) => {
    const attribution = model.attribution(state);
    which.show(state.attribution);
    targets.replaceChildren();
    showTarget = () => undefined;
    // The steps of a generation are chosen in the answer.
    if (!attribution || attribution.targets.length < 2 || model.followsSteps(attribution)) return;
    const target = picker(
      `${attribution.noun[0].toUpperCase()}${attribution.noun.slice(1)}`,
      attribution.targets.map((item, index) => `${index + 1}. ${item.name}`),
      (index) => actions.showTarget(index),
    );
    targets.append(target.element);
    target.show(state.target);
    showTarget = target.show;
  });
  store.watch(["target"], (state) => showTarget(state.target));
  store.watch(["level"], (state) => level.show(state.level));
  store.watch(["attribution", "target", "targetEnd"], (state) => {
    const attribution = model.attribution(state);
    if (!attribution) return;
    const target = attribution.targets[state.target];
    const count = state.targetEnd - state.target + 1;
    replace(
      facts,
      count > 1
        ? `Sum over ${count} targets${attribution.signed ? "" : " (magnitudes are summed: an upper bound)"}${model.reading(state)?.ofPrompt ? `, scores of the ${attribution.sides[0] ?? "prompt"}` : ""}. Method: ${attribution.methodWords}.`
        : bdi(target.description),
      count > 1 ? "" : ` = ${target.outputWords}. Method: ${attribution.methodWords}.`,
    );
  });
  const paintLegend = () => {
    const { state } = store;
    const attribution = model.attribution(state);
    if (!attribution) return;
    const target = attribution.targets[state.target];
    const several = state.targetEnd > state.target;
    const hasSpecial = model.table(state).special.some((special) => special);
    replace(
      legend,
      h("span", {}, bdi(attribution.signed ? (several ? "opposes" : target.below) : "low")),
      scaleSwatches(theme.colors.palette, attribution.signed),
      h("span", {}, bdi(attribution.signed ? (several ? "supports" : target.above) : "high")),
      hasSpecial && key(h("span", { class: "pill" }, "special"), "not colored"),
      model.isFaded(state) && h("span", {}, "striped: the test does not support these scores"),
    );
  };
  store.watch(["attribution", "target", "targetEnd"], paintLegend);
  theme.watch(paintLegend);
  store.watch(["attribution", "target", "targetEnd", "level", "anchor", "focus"], (state) => {
    readout.textContent = selectionWords(model, state);
  });

  return h(
    "section",
    { class: "saliency", "aria-labelledby": hasScores ? "saliency-title" : undefined },
    h("div", { class: `split first${hasScores ? "" : " single"}` }, text, hasScores && topView(context)),
    hasScores && legend,
    readout,
    h(
      "div",
      { class: "controls" },
      level.element,
      model.choices > 1 && which.element,
      targets,
      hasScores && exportMenu(context.say, "Saliency", () => saliencyExport(context, text), "Export", true),
    ),
    facts,
  );
}

/** A name that tells attributions of the same targets apart by their method; of choices, their question. */
function nameOf({ payload }: Model, index: number): string {
  const { attributions, readings, answer } = payload;
  const { title, method, table } = attributions[index];
  if (answer && attributions.some((other) => other.table !== table))
    return readings.find(({ attribution }) => attribution === index)?.title ?? title;
  const others = attributions.filter((other) => other.title === title);
  return others.length > 1 ? `${title} · ${method.replaceAll("_", " ")}` : title;
}

/** The bar chart of all scores, with its order. */
export function allScoresView(context: Context): HTMLElement[] {
  const { store } = context;
  const sort = segmented(
    "Bar order",
    [
      { value: "position", label: "By position" },
      { value: "size", label: "By magnitude" },
    ],
    (value) => store.set({ sort: value }),
  );
  store.watch(["sort"], (state) => sort.show(state.sort));
  return [h("div", { class: "controls" }, sort.element), barsView(context)];
}
