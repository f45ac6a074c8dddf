/** Two texts with links: which of their words make them similar, word × word. */

import type { Context } from "../context";
import { clamp } from "../data/clamp";
import type { Links } from "../data/payload.generated";
import { short } from "../data/units";
import { csv } from "../export/csv";
import { type Exported, exportMenu } from "../export/menu";
import { pythonOf } from "../export/python";
import { fitted } from "../scene/font";
import { type Shape, titled } from "../scene/scene";
import { sceneElement } from "../scene/svg";
import type { Colors } from "../ui/colors";
import { h, on, replace, svg } from "../ui/dom";
import { formatNumber } from "../ui/format";
import { scaleSwatches } from "../ui/legend";
import { bar, bdi, note, numberAt, track } from "../ui/parts";
import { paintPiece } from "./saliency/text";

const [DRAWN, SEVERAL] = [40, 12]; // links that are drawn as lines: of a word, of all
const LEAST = 0.06; // part of the strongest link from which a line is drawn
const [CELL, LEFT, TOP] = [24, 130, 76]; // of the heat map

export function linksView(context: Context): HTMLElement | null {
  const { links } = context.model.payload;
  if (!links) return null;
  const { theme, tooltip } = context;
  const texts = [
    wordsOf(links.first, links.specialFirst, "first"),
    wordsOf(links.second, links.specialSecond, "second"),
  ];
  const lines = svg("svg", { class: "link-lines", "aria-hidden": "true" });
  const stage = h("div", { class: "link-stage" }, lines, ...texts.map(({ element }) => element));
  const list = h("ol", { class: "link-list" });
  const legend = h("p", { class: "legend" });
  /** The word that the reader looks at: of the first text or of the second, -1 none. */
  let chosen = { side: 0, word: -1 };
  const score = (row: number, column: number) => links.scores[row][column];

  const paint = () => {
    const { colors } = theme;
    const { side, word } = chosen;
    for (const [other, { words }] of texts.entries()) {
      words.forEach((element, index) => {
        const isOther = word >= 0 && other !== side;
        const value = isOther ? (side === 0 ? score(word, index) : score(index, word)) : 0;
        paintPiece(element, colors, isOther ? value / links.peak : 0, true, false);
        element.setAttribute("aria-selected", String(word === index && other === side));
        element.classList.toggle("selected", word === index && other === side);
      });
    }
    drawLines();
    replace(
      legend,
      h("span", {}, "less similar"),
      scaleSwatches(colors.palette, true),
      h("span", {}, "more similar"),
      h("span", {}, word < 0 ? "Choose a word to see its links." : wordsOfChosen()),
    );
  };
  const wordsOfChosen = () => {
    const { side, word } = chosen;
    const of = side === 0 ? links.scores[word] : links.scores.map((row) => row[word]);
    return `“${(side === 0 ? links.first : links.second)[word]}” adds ${formatNumber(of.reduce((sum, value) => sum + value, 0))} with all words of the other text.`;
  };
  const drawLines = () => {
    const box = stage.getBoundingClientRect();
    if (!box.width) return;
    lines.setAttribute("viewBox", `0 0 ${box.width} ${box.height}`);
    const all = pairsOf(links).filter(({ row, column }) =>
      chosen.word < 0 ? true : (chosen.side === 0 ? row : column) === chosen.word,
    );
    const drawn = all
      .slice(0, chosen.word < 0 ? SEVERAL : DRAWN)
      .filter(({ value }) => Math.abs(value) >= LEAST * links.peak);
    replace(
      lines,
      ...drawn.map(({ row, column, value }) => {
        const [from, to] = [texts[0].words[row], texts[1].words[column]].map((word) =>
          word.getBoundingClientRect(),
        );
        const [x1, y1] = [from.left + from.width / 2 - box.left, from.bottom - box.top];
        const [x2, y2] = [to.left + to.width / 2 - box.left, to.top - box.top];
        const middle = (y1 + y2) / 2;
        return svg("path", {
          d: `M${x1} ${y1}C${x1} ${middle} ${x2} ${middle} ${x2} ${y2}`,
          fill: "none",
          stroke: theme.colors.get(value > 0 ? "supports" : "against"),
          "stroke-width": (1 + 5 * Math.abs(value / links.peak)).toFixed(2),
          "stroke-opacity": (0.25 + 0.65 * Math.abs(value / links.peak)).toFixed(2),
        });
      }),
    );
  };
  const drawList = () => {
    replace(
      list,
      ...links.links.map(({ row, column, words, strength }) =>
        h(
          "li",
          {},
          h("span", { class: "pair" }, bdi(links.first[row]), " ↔ ", bdi(links.second[column])),
          track(
            bar(
              50 * Math.abs(strength),
              theme.colors.get(strength > 0 ? "supports" : "against"),
              strength > 0 ? 50 : 50 - 50 * Math.abs(strength),
            ),
            true,
          ),
          h("span", { class: "value" }, words),
        ),
      ),
    );
  };
  texts.forEach(({ element, words }, side) => {
    const choose = (word: number) => {
      chosen = { side, word };
      const at = words[word];
      if (at) element.setAttribute("aria-activedescendant", at.id);
      else element.removeAttribute("aria-activedescendant");
      paint();
    };
    on(element, {
      click: (event) => {
        const word = numberAt(event, "word");
        choose(chosen.side === side && chosen.word === word ? -1 : word);
      },
      pointermove: (event) => {
        const word = numberAt(event, "word");
        const { word: other, side: from } = chosen;
        if (word < 0 || other < 0 || from === side) return tooltip.hide();
        const value = side === 1 ? score(other, word) : score(word, other);
        const pair =
          side === 1 ? [links.first[other], links.second[word]] : [links.first[word], links.second[other]];
        return tooltip.show(event, pair.join(" ↔ "), [
          [`adds to the ${links.quantity}`, formatNumber(value)],
        ]);
      },
      pointerleave: () => tooltip.hide(),
      keydown: (event) => {
        const at = chosen.side === side ? chosen.word : -1;
        const steps: Record<string, number> = {
          ArrowRight: at + 1,
          ArrowLeft: at < 0 ? words.length - 1 : at - 1,
          Home: 0,
          End: words.length - 1,
        };
        const next = steps[event.key];
        if (event.key === "Escape" && chosen.word >= 0) choose(-1);
        else if (next === undefined) return;
        else choose(clamp(next, 0, words.length - 1));
        event.preventDefault();
        event.stopPropagation();
      },
    });
  });
  const heat = h("div", {
    class: "link-heat",
    role: "img",
    tabindex: 0,
    "aria-label": `Heat map: what each pair of words adds to the ${links.quantity}`,
  });
  theme.watch(() => {
    replace(heat, sceneElement(heatShapes(links, theme.colors)));
    drawList();
    paint();
  });
  new ResizeObserver(drawLines).observe(stage);
  return h(
    "section",
    { class: "links", "aria-labelledby": "links-title" },
    h(
      "div",
      { class: "card-head" },
      h("h2", { id: "links-title" }, links.title),
      h(
        "div",
        { class: "controls" },
        exportMenu(context.say, "Links", () => linksExport(context, links)),
      ),
    ),
    h("div", { class: "split first" }, h("div", {}, stage, legend, heat), list),
    h("p", { class: "base" }, links.sum),
    ...links.notes.map((words) => note(words)),
  );
}

interface Words {
  readonly element: HTMLElement;
  readonly words: HTMLElement[];
}

function wordsOf(labels: readonly string[], special: readonly boolean[], side: string): Words {
  const words = labels.map((label, index) =>
    h(
      "span",
      {
        class: special[index] ? "pill" : "token",
        role: "option",
        id: `link-${side}-${index}`,
        "aria-selected": "false",
        "data-word": index,
      },
      bdi(label),
    ),
  );
  const spaced = words.flatMap((word) => [word, " "]);
  const element = h(
    "div",
    {
      class: "link-words",
      role: "listbox",
      tabindex: 0,
      "aria-label": `Words of the ${side} text`,
      "data-view": `links-${side}`,
      dir: "auto",
    },
    ...spaced,
  );
  return { element, words };
}

/** All pairs of words without special tokens, the strongest first. */
function pairsOf({ scores, specialFirst, specialSecond }: Links) {
  return scores
    .flatMap((values, row) => values.map((value, column) => ({ row, column, value })))
    .filter(({ row, column }) => !specialFirst[row] && !specialSecond[column])
    .sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
}

/** The heat map: words of the first text as rows, of the second as columns, special tokens left out. */
function heatShapes(links: Links, colors: Colors): { width: number; height: number; shapes: Shape[] } {
  const kept = (special: readonly boolean[]) => [...special.keys()].filter((word) => !special[word]);
  const [rows, columns] = [kept(links.specialFirst), kept(links.specialSecond)];
  const ink = { size: 12, fill: colors.get("text"), kind: "text" } as const;
  const shapes: Shape[] = [
    ...rows.map((row, y): Shape => {
      return {
        ...ink,
        x: LEFT - 6,
        y: TOP + (y + 0.5) * CELL,
        text: fitted(links.first[row], LEFT - 10, 12),
        anchor: "end",
      };
    }),
    ...columns.map((column, x): Shape => {
      return { ...ink, x: LEFT + (x + 0.5) * CELL, y: TOP - 8, text: short(links.second[column]), turn: -60 };
    }),
    ...rows.flatMap((row, y) =>
      columns.map((column, x): Shape => {
        const fill = colors.score(clamp(links.scores[row][column] / links.peak, -1, 1), true);
        const size = CELL - 1;
        return { kind: "rect", x: LEFT + x * CELL, y: TOP + y * CELL, width: size, height: size, fill };
      }),
    ),
  ];
  return { width: LEFT + columns.length * CELL + 60, height: TOP + rows.length * CELL, shapes };
}

function linksExport({ model, theme }: Context, links: Links): Exported {
  const { first, second, scores, title, sum } = links;
  return {
    name: "links",
    scene: () =>
      titled(
        heatShapes(links, theme.colors),
        title,
        [`${model.payload.title} · ${model.payload.origin}`, sum, ...links.notes],
        theme.colors,
      ),
    csv: () =>
      csv(
        ["first", "second", "contribution"],
        scores.flatMap((values, row) => values.map((value, column) => [first[row], second[column], value])),
      ),
    json: () => ({ title, first, second, scores, sum }),
    python: () => pythonOf(links.python),
  };
}
