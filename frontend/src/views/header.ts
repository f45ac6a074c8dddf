/** The output, the warnings, and controls for the whole report. */

import type { Context } from "../context";
import type { Prediction } from "../data/payload.generated";
import { h } from "../ui/dom";
import { counted, formatNumber, formatPercent } from "../ui/format";
import { bar, barLabel, barValue, bdi, button, cautionNotes, track } from "../ui/parts";
import { themeChoice } from "../ui/theme-choice";

const MAX_CLASSES = 8;

export function headerView(
  context: Context,
  options: { help: () => void; link: (() => void) | null },
): HTMLElement {
  const { model, store, theme } = context;
  const { payload } = model;
  const search = searchBox(context);
  return h(
    "header",
    { class: "top-part" },
    h(
      "div",
      { class: "toolbar" },
      search,
      themeChoice(store, theme),
      options.link && button("Copy link", options.link),
      button("?", options.help, "Help and keyboard shortcuts"),
    ),
    payload.origin && h("p", { class: "kicker" }, bdi(payload.origin)),
    h("h1", {}, bdi(payload.title)),
    payload.prediction && classes(context, payload.prediction),
    ...cautionNotes(payload.cautions),
  );
}

function classes({ theme }: Context, prediction: Prediction): HTMLElement | null {
  const { probabilities, logits, labels } = prediction;
  const order = Array.from(labels.keys()).sort((a, b) => logits[b] - logits[a]);
  if (!probabilities) return null;
  const rows = order.slice(0, MAX_CLASSES).map((index) => {
    const drawn = bar(100 * probabilities[index], "");
    theme.watch((colors) => {
      drawn.style.background = colors.get("unsigned");
    });
    return h(
      "li",
      { class: "bar-line", title: `logit ${formatNumber(logits[index])}` },
      barLabel(labels[index]),
      track(drawn),
      barValue(formatPercent(probabilities[index])),
    );
  });
  const more = labels.length - rows.length;
  return h(
    "ol",
    { class: "classes", "aria-label": "Classes" },
    ...rows,
    more > 0 &&
      h("li", { class: "note" }, `${counted(more, "class", "classes")} with lower probability not shown`),
  );
}

function searchBox({ actions, store }: Context): HTMLElement {
  const count = h("span", { class: "note", role: "status" });
  const run = (by: number) => {
    const matchCount = actions.find(input.value, by);
    count.textContent = input.value.trim() ? counted(matchCount, "match", "matches") : "";
  };
  const input = h("input", {
    type: "search",
    class: "search",
    placeholder: "Search tokens",
    "aria-label": "Search tokens",
    on: {
      input: () => run(0),
      keydown: (event) => {
        if (event.key === "Enter") {
          event.preventDefault();
          run(event.shiftKey ? -1 : 1);
        }
      },
    },
  });
  store.watch(["search"], (state) => {
    if (state.search || !input.value) return;
    input.value = "";
    count.textContent = "";
  });
  return h("div", { class: "search-box", role: "search" }, input, count);
}
