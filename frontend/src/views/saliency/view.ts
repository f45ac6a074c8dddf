/** Saliency: the colored text and the bar chart, with their controls and legend. */

import type { Context } from "../../context";
import { exportMenu } from "../../export/menu";
import { h, picker, replace, segmented } from "../../ui/dom";
import { scaleSwatches } from "../../ui/legend";
import { bdi, button, card, key, note } from "../../ui/parts";
import { headline, selectionWords } from "../../words";
import { barsView } from "./bars";
import { saliencyExport } from "./export";
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
    "Bar order",
    [
      { value: "position", label: "By position" },
      { value: "size", label: "By magnitude" },
    ],
    (value) => store.set({ sort: value }),
  );
  const which = picker(
    "Attribution",
    attributions.slice(0, model.choices).map((attribution) => `${attribution.title} · ${attribution.method}`),
    (index) => actions.showAttribution(index),
  );
  const targets = h("div", { class: "targets" });
  let showTarget: (index: number) => void = () => undefined;
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
      replace(back, "Back to ", bdi(`“${target.name}”`), " ", h("kbd", {}, "Esc"));
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
      attribution.targets.map((item, index) => `${index + 1}. ${item.name}`),
      (index) => {
        const { step } = attribution.targets[index];
        if (step >= 0 && model.followsSteps(attribution)) actions.step(step);
        else actions.showTarget(index);
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
    replace(title, attribution ? headline(model, state) : "Text");
    if (!attribution) return;
    const target = attribution.targets[state.target];
    const several = state.targetEnd - state.target + 1;
    value.textContent =
      several > 1
        ? `sum over ${several} targets${attribution.signed ? "" : " (magnitudes are summed: an upper bound)"} · ${attribution.methodWords}`
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
    readout.textContent = selectionWords(model, state);
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
      exportMenu(context.say, "Saliency", () => saliencyExport(context, text)),
    ],
    value,
    h("div", { class: "split" }, h("div", { class: "text-side" }, text, legend, readout), bars),
  );
}
