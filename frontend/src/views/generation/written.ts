/** What the model wrote, token by token: how likely each was, and a click explains it. */

import type { Context } from "../../context";
import { writtenTokens } from "../../data/written";
import { h, on } from "../../ui/dom";
import { formatPercent } from "../../ui/format";
import { numberAt } from "../../ui/parts";

const LONG = 40; // tokens above which the answer is set smaller

export function writtenView({ model, store, actions, tooltip }: Context): HTMLElement | null {
  const { generation } = model;
  if (!generation?.probabilities.length) return null;
  const tokens = writtenTokens(model.payload.tables[generation.table], generation.promptLength);
  const { special } = model.payload.tables[generation.table];
  const pieces = tokens.map(({ token, before, label }, step) => {
    const probability = generation.probabilities[step];
    const face = h(
      "span",
      {
        class: `piece${special[token] ? " special" : ""}`,
        role: "option",
        id: `piece-${token}`,
        "data-token": token,
        "aria-label": `${label}, probability ${formatPercent(probability)}`,
      },
      before &&
        h(
          "span",
          { class: "blank", "aria-hidden": "true" },
          before.replace(/[^\n]/g, "·").replace(/\n/g, "↵"),
        ),
      label,
    );
    face.style.backgroundSize = `${Math.max(100 * probability, 3)}% 3px, 100% 3px`;
    return face;
  });
  const element = h(
    "div",
    {
      class: `written${tokens.length > LONG ? " long" : ""}`,
      role: "listbox",
      tabindex: 0,
      "aria-label": "The answer, token by token",
      "aria-multiselectable": "true",
      dir: "auto",
      "data-view": "written",
    },
    ...pieces,
  );

  const show = (event: MouseEvent, token: number) => {
    const step = token - generation.promptLength;
    tooltip.show(event, tokens[step].label, [
      ["probability", formatPercent(generation.probabilities[step])],
      ["entropy", `${generation.entropies[step].toFixed(2)} nats`],
      ["generation step", `${step + 1} of ${tokens.length}`],
    ]);
  };
  on(element, {
    pointermove: (event) => {
      const token = numberAt(event, "token");
      if (token < 0) tooltip.hide();
      else show(event, token);
    },
    pointerleave: () => tooltip.hide(),
    mousedown: (event) => {
      if (event.shiftKey) event.preventDefault(); // else the browser selects the text in between
    },
    click: (event) => {
      const token = numberAt(event, "token");
      if (token < 0) return;
      const { state } = store;
      const isOnly =
        model.followsSteps(model.attribution(state)) && state.focus === token && !model.isWhole(state);
      if (isOnly && !event.shiftKey) {
        if (!actions.leaveContrast()) actions.unselect();
      } else actions.explain(token, event.shiftKey);
    },
    keydown: (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (by) {
        actions.moveStep(by, event.shiftKey);
      } else if (event.key === "Home" || event.key === "End") {
        actions.step(event.key === "Home" ? 0 : tokens.length - 1);
      } else return;
      event.preventDefault();
      event.stopPropagation();
    },
  });
  store.watch(["attribution", "target", "targetEnd", "focus"], (state) => {
    const attribution = model.attribution(state);
    const isShown = model.followsSteps(attribution) && !model.isWhole(state);
    const [first, last] = isShown
      ? [attribution!.targets[state.target].step, attribution!.targets[state.targetEnd].step]
      : [-1, -1];
    pieces.forEach((piece, step) => {
      const isSelected = first >= 0 && step >= first && step <= last;
      piece.classList.toggle("selected", isSelected);
      if (isSelected) piece.setAttribute("aria-selected", "true");
      else piece.removeAttribute("aria-selected");
    });
    const active = pieces[last];
    if (active) {
      element.setAttribute("aria-activedescendant", active.id);
      const [outer, inner] = [element.getBoundingClientRect(), active.getBoundingClientRect()];
      if (inner.top < outer.top) element.scrollTop -= outer.top - inner.top + 4;
      else if (inner.bottom > outer.bottom) element.scrollTop += inner.bottom - outer.bottom + 4;
    } else element.removeAttribute("aria-activedescendant");
  });
  return element;
}
