/** The steps of a generation: probability, entropy and alternative tokens. */

import type { Context } from "../../context";
import { clamp } from "../../data/clamp";
import { exportMenu } from "../../export/menu";
import { h, on, replace, svg } from "../../ui/dom";
import { counted, formatPercent } from "../../ui/format";
import { bar, barLabel, barValue, bdi, button, card, key, note, swatch, track } from "../../ui/parts";
import { generationExport } from "./export";

const STRIP = 74;
const PLAY_MS = 650;

export function generationView(context: Context): HTMLElement | null {
  const { model, store, actions, theme, tooltip, signal } = context;
  const { generation } = model;
  if (!generation?.probabilities.length) return null;
  const count = generation.probabilities.length;
  const table = model.payload.tables[generation.table];
  const labels = table.labels.slice(generation.promptLength);
  const ids = table.ids.slice(generation.promptLength);
  const strip = h("div", { class: "strip", "data-view": "steps" });
  const slider = h("input", {
    type: "range",
    min: 1,
    max: count,
    value: 1,
    "aria-label": "Generation step",
    on: { input: () => actions.step(Number(slider.value) - 1) },
  });
  const step = (sign: string, by: number, words: string) =>
    button(sign, () => actions.step(actions.currentStep() + by), words);
  const heading = h("h3", {});
  const facts = note();
  const top = h("ol", { class: "top" });
  const absent = h("p", { class: "note", role: "status" });
  let timer = 0;

  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "▶";
    play.setAttribute("aria-label", "Play the generation steps");
  };
  const play = button(
    "▶",
    () => {
      if (timer) return stop();
      if (actions.currentStep() === count - 1) actions.step(0);
      play.textContent = "❚❚";
      play.setAttribute("aria-label", "Pause");
      timer = window.setInterval(() => {
        if (actions.currentStep() >= count - 1) stop();
        else actions.step(actions.currentStep() + 1);
      }, PLAY_MS);
      return undefined;
    },
    "Play the generation steps",
  );
  signal.addEventListener("abort", stop);

  const draw = () => {
    const { colors } = theme;
    const current = actions.currentStep();
    const width = strip.clientWidth || 900;
    const each = width / count;
    const largest = Math.max(...generation.entropies, 1e-9);
    const bars = generation.probabilities.map((probability, index) => {
      const height = Math.max(probability * (STRIP - 8), 1);
      const isSelected = index >= store.state.target && index <= store.state.targetEnd && current === index;
      return svg("rect", {
        x: (index * each + each * 0.12).toFixed(2),
        y: (STRIP - height).toFixed(2),
        width: (each * 0.76).toFixed(2),
        height: height.toFixed(2),
        rx: Math.min(2, each / 4),
        fill: isSelected || index === current ? colors.get("text") : colors.get("unsigned"),
        "data-step": index,
      });
    });
    const line = generation.entropies.map(
      (entropy, index) =>
        `${index ? "L" : "M"}${((index + 0.5) * each).toFixed(1)} ${(STRIP - 4 - (entropy / largest) * (STRIP - 12)).toFixed(1)}`,
    );
    replace(
      strip,
      svg(
        "svg",
        {
          width: "100%",
          height: STRIP,
          viewBox: `0 0 ${width} ${STRIP}`,
          preserveAspectRatio: "none",
          role: "img",
          "aria-label": `Probability and entropy of ${counted(count, "step")}`,
        },
        svg("rect", { x: 0, y: 0, width, height: STRIP, fill: "transparent" }),
        ...bars,
        svg("path", {
          d: line.join(""),
          fill: "none",
          stroke: colors.get("against"),
          "stroke-width": 1.5,
          "stroke-linejoin": "round",
        }),
      ),
    );
  };

  /** An alternative token; selecting it explains why it was not generated. */
  const alternative = (current: number, index: number, label: string): HTMLElement => {
    const id = generation.topIds[current][index];
    const row = model.contrastOf(current, id);
    const isShown = row >= 0 && model.isContrast(store.state) && store.state.target === row;
    const words = `Why “${labels[current]}” and not “${label}”`;
    return h(
      "button",
      {
        type: "button",
        class: `bar-label alternative${row < 0 ? " absent" : ""}`,
        "aria-pressed": String(isShown),
        title: words,
        on: {
          click: () => {
            if (isShown) actions.leaveContrast();
            else if (!actions.contrast(current, id)) {
              const rank = generation.topIds[current]
                .slice(0, index + 1)
                .filter((candidate) => candidate !== ids[current]);
              replace(
                absent,
                bdi(words),
                ` is not in this page. To compute it, use analyze(…, alternatives=${rank.length}) or explain --alternatives ${rank.length}.`,
              );
            }
          },
        },
      },
      bdi(label),
    );
  };

  const describe = () => {
    const current = actions.currentStep();
    slider.value = String(current + 1);
    slider.setAttribute("aria-valuetext", `step ${current + 1} of ${count}: ${labels[current]}`);
    const probability = generation.probabilities[current];
    replace(heading, `Step ${current + 1} of ${count}: `, bdi(labels[current]));
    const rank = generation.topProbabilities[current].filter((other) => other > probability).length + 1;
    facts.textContent = `probability ${formatPercent(probability)} · entropy ${generation.entropies[current].toFixed(2)} nats · ${
      rank > generation.topProbabilities[current].length
        ? `outside the top ${generation.topProbabilities[current].length}`
        : rank === 1
          ? "most likely token"
          : `rank ${rank}`
    }`;
    const buttons = () => [...top.querySelectorAll("button")];
    const focused = buttons().indexOf((top.getRootNode() as ShadowRoot).activeElement as HTMLButtonElement);
    replace(absent);
    const shown = generation.topLabels[current].slice(0, 10);
    replace(
      top,
      ...shown.map((label, index) => {
        const share = generation.topProbabilities[current][index];
        const id = generation.topIds[current][index];
        const isGenerated = id === ids[current];
        return h(
          "li",
          { class: isGenerated ? "bar-line taken" : "bar-line" },
          isGenerated ? barLabel(label) : alternative(current, index, label),
          track(bar(100 * share, theme.colors.get("unsigned"))),
          barValue(formatPercent(share)),
        );
      }),
    );
    buttons()[focused]?.focus(); // the list was rebuilt
  };

  const stepAt = (event: MouseEvent): number => {
    const box = strip.getBoundingClientRect();
    return clamp(Math.floor(((event.clientX - box.left) / box.width) * count), 0, count - 1);
  };
  on(strip, {
    click: (event) => actions.select(generation.promptLength + stepAt(event), { extend: event.shiftKey }),
    pointermove: (event) => {
      const index = stepAt(event);
      tooltip.show(event, `${index + 1}. ${labels[index]}`, [
        ["probability", formatPercent(generation.probabilities[index])],
        ["entropy", `${generation.entropies[index].toFixed(2)} nats`],
      ]);
    },
    pointerleave: () => tooltip.hide(),
  });
  store.watch(["focus", "target", "attribution"], () => {
    draw();
    describe();
  });
  theme.watch(() => {
    draw();
    describe();
  });
  new ResizeObserver(draw).observe(strip);

  const legend = h("p", { class: "legend" });
  theme.watch((colors) =>
    replace(
      legend,
      key(swatch(colors.get("unsigned")), "probability of the generated token"),
      key(swatch(colors.get("against")), "entropy (separate scale)"),
    ),
  );
  return card(
    "generation",
    h("h2", {}, `Generation: ${counted(count, "step")}`),
    [exportMenu(context.say, "Generation", () => generationExport(context))],
    legend,
    strip,
    h("div", { class: "scrub" }, step("‹", -1, "Previous step"), play, step("›", 1, "Next step"), slider),
    h("div", { class: "step" }, h("div", {}, heading, facts, absent), top),
  );
}
