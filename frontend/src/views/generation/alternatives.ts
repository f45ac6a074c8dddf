/** What else was likely in place of the selected token; a click explains why it was not written. */

import type { Context } from "../../context";
import { h, replace } from "../../ui/dom";
import { formatPercent } from "../../ui/format";
import { bdi, button } from "../../ui/parts";

const SHOWN = 5;

export function alternativesView(context: Context): HTMLElement | null {
  const { model, store, actions } = context;
  const { generation, payload } = model;
  if (!generation?.probabilities.length) return null;
  const table = payload.tables[generation.table];
  const element = h("div", { class: "alternatives" });

  const alternative = (step: number, index: number): HTMLElement => {
    const id = generation.topIds[step][index];
    const label = generation.topLabels[step][index];
    const target = model.contrastOf(step, id);
    const isShown = target >= 0 && model.isContrast(store.state) && store.state.target === target;
    const name = table.labels[generation.promptLength + step];
    return h(
      "button",
      {
        type: "button",
        class: `alternative${target < 0 ? " absent" : ""}`,
        "aria-pressed": String(isShown),
        title: `Why “${name}” and not “${label}”`,
        on: {
          click: () => {
            if (isShown) actions.leaveContrast();
            else if (!actions.contrast(step, id)) explainAbsence(step, index, name, label);
          },
        },
      },
      bdi(label),
      h("small", {}, ` ${formatPercent(generation.topProbabilities[step][index])}`),
    );
  };
  const hint = h("span", { class: "note", role: "status" });
  const explainAbsence = (step: number, index: number, name: string, label: string) => {
    const written = table.ids[generation.promptLength + step];
    const rank = generation.topIds[step].slice(0, index + 1).filter((id) => id !== written).length;
    replace(
      hint,
      "Why ",
      bdi(`“${name}” and not “${label}”`),
      ` was not computed for this page: use analyze(…, alternatives=${rank}) or explain --alternatives ${rank}.`,
    );
  };
  store.watch(["focus", "target", "targetEnd", "attribution"], (state) => {
    replace(hint);
    const follows = model.followsSteps(model.attribution(state));
    if (!follows || state.target !== state.targetEnd) {
      replace(
        element,
        h(
          "span",
          { class: "note wide-only" },
          model.isWhole(state) ? "Click a token to see why it was written, and what else was likely." : "",
        ),
      );
      return;
    }
    const buttons = () => [...element.querySelectorAll<HTMLElement>(".alternative")];
    const focused = buttons().indexOf((element.getRootNode() as ShadowRoot).activeElement as HTMLElement);
    const { step } = model.attribution(state)!.targets[state.target];
    const written = table.ids[generation.promptLength + step];
    const others = generation.topIds[step]
      .map((_, index) => index)
      .filter((index) => generation.topIds[step][index] !== written);
    const rank =
      generation.topProbabilities[step].filter((other) => other > generation.probabilities[step]).length + 1;
    const standing =
      rank > generation.topProbabilities[step].length
        ? ""
        : rank === 1
          ? ", the most likely token"
          : `, rank ${rank}`;
    replace(
      element,
      h("span", {}, `Probability ${formatPercent(generation.probabilities[step])}${standing}. Why not`),
      ...others.slice(0, SHOWN).map((index) => alternative(step, index)),
      model.isContrast(state)
        ? button(
            "Back",
            () => actions.leaveContrast(),
            `Back to why “${table.labels[generation.promptLength + step]}”`,
          )
        : model.wholeOf(state.attribution).targetEnd > 0 && button("Whole answer", () => actions.unselect()),
      hint,
    );
    buttons()[focused]?.focus(); // the row was rebuilt
  });
  return element;
}
