/** The keyboard shortcuts, and a switch to turn them off. */

import type { Store } from "../state/store";
import { h } from "../ui/dom";
import { button } from "../ui/parts";

const KEYS: readonly (readonly [string, string])[] = [
  ["← →", "previous or next token; with Shift, extend the selection"],
  ["Home End", "first or last token"],
  ["↑ ↓", "previous or next generation step; in the bar chart, previous or next bar"],
  ["Enter", "on an alternative token: why the generated token and not this one; Esc goes back"],
  ["[ ]", "previous or next layer"],
  ["h H", "next or previous head"],
  ["m", "next attention map"],
  ["a", "next attribution"],
  ["g", "switch between tokens, words and sentences, also for attention"],
  ["o", "order the bars by position or magnitude"],
  ["s", "attention sinks: raw, muted or renormalized"],
  ["c", "color scale: per row, per head or global"],
  ["z", "whole attention matrix or a window; arrow keys on the overview move the window"],
  ["t", "theme: auto, light or dark"],
  ["/", "search tokens; Enter goes to the next match"],
  ["Esc", "clear the selection, close menus"],
  ["?", "show this help"],
];

/** The shortcuts of a page, by default those of a report. */
export function helpDialog<S extends { shortcuts: boolean }>(
  store: Store<S>,
  keys = KEYS,
): { element: HTMLDialogElement; toggle: () => void } {
  const box = h("input", {
    type: "checkbox",
    on: { change: () => store.set({ shortcuts: box.checked } as Partial<S>) },
  });
  const close = (): void => element.close();
  const element = h(
    "dialog",
    { class: "help", "aria-labelledby": "help-title" },
    h("h2", { id: "help-title" }, "Keyboard shortcuts"),
    h(
      "dl",
      {},
      ...keys.map(([key, words]) =>
        h("div", {}, h("dt", {}, ...key.split(" ").map((name) => h("kbd", {}, name))), h("dd", {}, words)),
      ),
    ),
    h("label", { class: "check" }, box, "Enable single-key shortcuts"),
    h("p", {}, button("Close", close)),
  );
  store.watch(["shortcuts"], (state) => {
    box.checked = state.shortcuts;
  });
  return { element, toggle: () => (element.open ? element.close() : element.showModal()) };
}
