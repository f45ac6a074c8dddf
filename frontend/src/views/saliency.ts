/** Text and bars side by side, with what they show and how they are colored. */

import type { Context } from "../context";
import { h, picker, replace, segmented } from "../dom";
import { exportMenu } from "../export/menu";
import { saliencyExport } from "../export/saliency";
import { number, percent } from "../format";
import { bdi, button, card, key, note } from "../parts";
import type { State } from "../store";
import { labelOf } from "../units";
import { barsView } from "./bars";
import { scaleSwatches } from "./legend";
import { textView } from "./text";

export function saliencyView(context: Context): HTMLElement {
  const { model, store, actions, theme } = context;
  const { attributions } = model.payload;
  const level = segmented(
    "Granularity",
    [
      { value: "token", label: "Tokens" },
      { value: "word", label: "Words" },
      { value: "sentence", label: "Sentences" },
    ],
    (value) => store.set({ level: value }),
  );
  const sort = segmented(
    "Order of the bars",
    [
      { value: "position", label: "By position" },
      { value: "size", label: "By size" },
    ],
    (value) => store.set({ sort: value }),
  );
  const which = picker(
    "Attribution",
    attributions.slice(0, model.choices).map((attribution) => `${attribution.title} · ${attribution.method}`),
    (place) => actions.showAttribution(place),
  );
  const targets = h("div", { class: "targets" });
  let showTarget: (place: number) => void = () => undefined;
  const title = h("h2");
  const value = note();
  const legend = h("p", { class: "legend" });
  const readout = h("p", { class: "readout" });
  const text = textView(context);
  const bars = attributions.length ? barsView(context) : null;

  const back = button("", () => actions.leaveContrast());

  store.watch(["attribution", "target"], (state) => {
    back.hidden = !model.isContrast(state);
    which.element.hidden = targets.hidden = !back.hidden;
    if (!back.hidden) {
      const target = model.attribution(state)!.targets[state.target];
      replace(back, "Back to why ", bdi(`“${target.name}”`), " ", h("kbd", {}, "Esc"));
    }
  });
  store.watch(["attribution"], (state) => {
    const attribution = model.attribution(state);
    which.show(state.attribution);
    targets.replaceChildren();
    showTarget = () => undefined;
    if (!attribution || attribution.targets.length < 2) return;
    const target = picker(
      "Target",
      attribution.targets.map((item, place) => `${place + 1}. ${item.name}`),
      (place) => {
        const { step } = attribution.targets[place];
        if (step >= 0 && model.followsSteps(attribution)) actions.step(step);
        else actions.showTarget(place);
      },
    );
    targets.append(target.element);
    target.show(state.target);
    showTarget = target.show;
  });
  store.watch(["target"], (state) => showTarget(state.target));
  store.watch(["level"], (state) => level.show(state.level));
  store.watch(["sort"], (state) => sort.show(state.sort));
  store.watch(["attribution", "target", "targetEnd"], (state) => {
    const attribution = model.attribution(state);
    replace(title, attribution ? headline(context, state) : "Text");
    if (!attribution) return;
    const target = attribution.targets[state.target];
    const several = state.targetEnd - state.target + 1;
    value.textContent =
      several > 1
        ? `sum over ${several} targets${attribution.signed ? "" : " (sizes add up: at most this much)"} · ${attribution.methodWords}`
        : `${model.isContrast(state) ? `${target.description} =` : "value"} ${target.outputWords} · ${attribution.methodWords}`;
  });
  const paintLegend = () => {
    const attribution = model.attribution(store.state);
    if (!attribution) return;
    const { palette } = theme.colors;
    const target = attribution.targets[store.state.target];
    replace(
      legend,
      h("span", {}, bdi(attribution.signed ? target.below : "low")),
      scaleSwatches(palette, attribution.signed),
      h("span", {}, bdi(attribution.signed ? target.above : "high")),
      key(h("span", { class: "pill" }, "special"), "special token, not colored"),
    );
  };
  store.watch(["attribution", "target"], paintLegend);
  theme.watch(paintLegend);
  store.watch(["attribution", "target", "targetEnd", "level", "anchor", "focus"], (state) => {
    readout.textContent = spanWords(context, state);
  });

  return card(
    "saliency",
    title,
    [
      back,
      model.choices > 1 && which.element,
      targets,
      level.element,
      attributions.length > 0 && sort.element,
      exportMenu(context, "Saliency", () => saliencyExport(context, text)),
    ],
    value,
    h("div", { class: "split" }, h("div", { class: "text-side" }, text, legend, readout), bars),
  );
}

/** What the scores are of, as "Saliency: log-probability of “there”". */
export function headline({ model }: Context, state: Readonly<State>): string {
  const attribution = model.attribution(state);
  if (!attribution) return "Text";
  const [first, last] = [attribution.targets[state.target], attribution.targets[state.targetEnd]];
  if (model.isContrast(state)) return `Why “${first.name}” and not “${first.againstName}”`;
  if (state.target === state.targetEnd) return `Saliency: ${first.description}`;
  return `Saliency: ${first.name} … ${last.name}`;
}

function spanWords({ model, store }: Context, state: Readonly<State>): string {
  const scores = model.scores(state);
  const [first, last] = model.span(state);
  if (first < 0 || !scores) return "Click a token to pin it, shift-click another to select the span between.";
  const units = model.unitsShown(state);
  const [from, to] = [model.unitOf(state, first), model.unitOf(state, last)];
  const words = labelOf(model.table(store.state), units[from].first, units[to].last);
  const short = words.length > 60 ? `${words.slice(0, 40)}…${words.slice(-15)}` : words;
  let [sum, size] = [0, 0];
  let scored = 0;
  for (let unit = from; unit <= to; unit++) {
    const value = scores.values[unit];
    if (Number.isNaN(value)) continue;
    scored++;
    sum += value;
    size += Math.abs(value);
  }
  if (!scored) return `“${short}” has no score: it cannot contribute to this target.`;
  const rank = from === to ? `, rank ${scores.ranks[from]}` : `, ${to - from + 1} selected`;
  return `“${short}”: score ${number(sum)}, ${percent(scores.total ? size / scores.total : 0)} of all${rank}`;
}
