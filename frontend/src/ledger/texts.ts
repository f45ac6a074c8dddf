/** The texts or models that were compared, with the tokens that differ and the target's value on each. */

import type { LedgerPart, LedgerText } from "../data/payload.generated";
import { type Child, h, on } from "../ui/dom";
import { bdi, numberAt } from "../ui/parts";
import { axisOf, type PageContext } from "./state";
import { number } from "./words";

export function textsView(context: PageContext): HTMLElement {
  const { payload, store } = context;
  const { texts, baseline, models, target, difference } = payload;
  const tokens: HTMLElement[] = [];
  const line = (name: string, content: Child, value: string, style = "") =>
    h(
      "div",
      { class: "compared-line" },
      h("dt", {}, name),
      h("dd", { class: "compared-text" }, content),
      h("dd", { class: `compared-value${style}` }, value),
    );
  const lines = texts.map((text) => line(text.name, textOf(text, tokens), text.value));
  if (baseline) lines.push(line("reference", bdi(baseline), ""));
  for (const { name, called, answer, value } of models) {
    const answers = answer ? h("span", { class: "note" }, " answers “", bdi(answer), "”") : "";
    lines.push(line(name, h("span", {}, bdi(called), answers), value));
  }
  lines.push(
    line("difference", h("span", { class: "note" }, "in ", bdi(target)), number(difference), " total"),
  );
  const element = h("dl", { class: "compared-texts", "data-role": "texts" }, ...lines);
  if (!payload.maps.length) return element;

  const isOfTokens = (map: number) => axisOf(payload, payload.maps[map]).word === "at";
  const tokenMap = payload.maps.findIndex((_, index) => isOfTokens(index));
  on(element, {
    pointermove: (event) => store.set({ hover: numberAt(event, "first") }),
    pointerleave: () => store.set({ hover: -1 }),
    click: (event) => {
      const column = numberAt(event, "first");
      if (column < 0) return;
      store.set(isOfTokens(store.state.map) ? { column } : { map: tokenMap, column });
    },
  });
  /** Bring a token into view within its text, without moving the page. */
  const reveal = (token: HTMLElement | undefined) => {
    const text = token?.closest<HTMLElement>(".text");
    if (!token || !text) return;
    const [inner, outer] = [token.getBoundingClientRect(), text.getBoundingClientRect()];
    if (inner.top < outer.top || inner.bottom > outer.bottom)
      text.scrollTop += inner.top - outer.top - (outer.height - inner.height) / 2;
  };
  const revealAll = (wanted: (token: HTMLElement) => boolean) => {
    for (const text of element.querySelectorAll(".text"))
      reveal(tokens.find((token) => text.contains(token) && wanted(token)));
  };
  const isDrawn = new ResizeObserver(() => {
    revealAll((token) => token.matches(".differs"));
    isDrawn.disconnect();
  });
  isDrawn.observe(element);
  store.watch(["column", "hover", "map"], ({ column, hover, map }) => {
    const selected = isOfTokens(map) ? column : -1;
    for (const token of tokens) {
      const [first, last] = [Number(token.dataset.first), Number(token.dataset.last)];
      token.classList.toggle("selected", first <= selected && selected <= last);
      token.classList.toggle("hovered", first <= hover && hover <= last);
    }
  });
  store.watch(["column"], () => revealAll((token) => token.matches(".selected")));
  return element;
}

function textOf({ parts, direction }: LedgerText, tokens: HTMLElement[]): HTMLElement {
  return h(
    "div",
    { class: "text", dir: direction, tabindex: 0, role: "group", "aria-label": "Text" },
    ...parts.map((part) => (part.first < 0 ? part.text : tokenOf(part, tokens))),
  );
}

function tokenOf({ text, first, last, differs, isPill }: LedgerPart, tokens: HTMLElement[]): HTMLElement {
  const element = h(
    differs ? "mark" : "span",
    {
      class: `${isPill ? "pill" : "token"}${differs ? " differs" : ""}`,
      "data-first": first,
      "data-last": last,
    },
    text,
  );
  tokens.push(element);
  return element;
}
