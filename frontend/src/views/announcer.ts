/** What a screen reader hears: the selection and its top sources. */

import type { Context } from "../context";
import { topSources } from "../data/matrices";
import { planesOf } from "../data/planes";
import { bySize } from "../data/units";
import { h } from "../ui/dom";
import { formatNumber, formatPercent } from "../ui/format";
import { planeWords, weightWords } from "../words";

const SPOKEN = 5;

/** A list of the selection's top sources, announced when it changes. */
export function announcer(context: Context): HTMLElement {
  const { model, store } = context;
  const heading = h("p", {});
  const list = h("ul", {});
  const element = h(
    "div",
    { class: "unseen", "aria-live": "polite", "aria-atomic": "true", "data-role": "announcer" },
    heading,
    list,
  );
  let timer = 0;
  const update = () => {
    const { state } = store;
    if (state.focus < 0) {
      heading.textContent = "";
      list.replaceChildren();
      return;
    }
    const words: string[] = [];
    const units = model.unitsShown(state);
    const unit = units[model.unitOf(state, state.focus)];
    heading.textContent = `Selected ${unit.label}.`;
    const scores = model.scores(state);
    if (scores) {
      const value = scores.values[unit.index];
      if (!Number.isNaN(value)) words.push(`Score ${formatNumber(value)}, rank ${scores.ranks[unit.index]}.`);
      const top = bySize(scores.values).slice(0, SPOKEN);
      const named = top.map(
        (index) =>
          `${units[index].label} ${formatPercent(scores.total ? scores.values[index] / scores.total : 0)}`,
      );
      words.push(`Largest scores: ${named.join(", ")}.`);
    }
    if (model.payload.attention.length) {
      void planesOf(model, state).then(({ detail }) => {
        if (store.state.focus !== state.focus) return;
        const { data, layer, head } = detail;
        const row = model.axisIndex(data.rowAxis, state, state.focus);
        if (row < 0) return;
        const sources = topSources(data.row(layer, head, row, state.sinks), state.sinks, SPOKEN);
        const named = sources.map(
          ({ key, weight }) => `${data.keyAxis.label(key)} ${weightWords(data, state.sinks, weight)}`,
        );
        list.append(
          h(
            "li",
            {},
            `${data.part.steps ? "Attention when writing it" : "Attends most to"} (${planeWords(detail)}): ${named.join(", ")}.`,
          ),
        );
      });
    }
    list.replaceChildren(...words.map((line) => h("li", {}, line)));
  };
  store.watch(["focus", "anchor", "layer", "head", "target", "level"], () => {
    clearTimeout(timer);
    timer = window.setTimeout(update, 120); // no announcements while a key repeats
  });
  return element;
}
