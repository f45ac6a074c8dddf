/** The keyboard's shortcuts, and a way to turn them off. */

import type { Context } from "../context";
import { h } from "../ui/dom";
import { button } from "../ui/parts";

const KEYS: readonly (readonly [string, string])[] = [
  ["← →", "previous, next token; with Shift the selection grows"],
  ["Home End", "first, last token"],
  ["↑ ↓", "previous, next step of a generation; in the bars the next bar"],
  ["Enter", "on another likely token: why the one written and not this; Esc goes back"],
  ["[ ]", "previous, next layer"],
  ["h H", "next, previous head"],
  ["m", "next attention map"],
  ["a", "next attribution"],
  ["g", "tokens, words, sentences; attention too"],
  ["o", "bars by position or size"],
  ["s", "sinks raw, muted, renormalized"],
  ["c", "colors by row, head, all heads"],
  ["z", "the whole matrix or a window, which arrows move on the little one"],
  ["t", "theme"],
  ["/", "search tokens; Enter goes to the next"],
  ["Esc", "unpin, close"],
  ["?", "this help"],
];

export function helpDialog({ store }: Context): { element: HTMLDialogElement; toggle: () => void } {
  const box = h("input", {
    type: "checkbox",
    on: { change: () => store.set({ shortcuts: box.checked }) },
  });
  const close = (): void => element.close();
  const element = h(
    "dialog",
    { class: "help", "aria-labelledby": "help-title" },
    h("h2", { id: "help-title" }, "Keyboard"),
    h(
      "dl",
      {},
      ...KEYS.map(([key, words]) =>
        h("div", {}, h("dt", {}, ...key.split(" ").map((name) => h("kbd", {}, name))), h("dd", {}, words)),
      ),
    ),
    h("label", { class: "check" }, box, "Single-key shortcuts"),
    h("p", {}, button("Close", close)),
  );
  store.watch(["shortcuts"], (state) => {
    box.checked = state.shortcuts;
  });
  return { element, toggle: () => (element.open ? element.close() : element.showModal()) };
}
