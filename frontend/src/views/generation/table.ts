/** Every source and every generated token of an answer in one matrix; a click explains a token. */

import type { Context } from "../../context";
import { clamp } from "../../data/clamp";
import type { Attribution } from "../../data/payload.generated";
import { ScoreMatrix } from "../../data/score-matrix";
import { short } from "../../data/units";
import { writtenTokens } from "../../data/written";
import { exportMenu } from "../../export/menu";
import { FONT, fitted } from "../../scene/font";
import { whole } from "../../state/window";
import { canvasOf, sized } from "../../ui/canvas";
import { h, on, replace } from "../../ui/dom";
import { formatNumber, formatPercent } from "../../ui/format";
import { scaleSwatches } from "../../ui/legend";
import { key, swatch } from "../../ui/parts";
import { fitOnPaper } from "../../ui/print";
import { shareWords } from "../../words";
import { paintCells } from "../heatmap/cells";
import { generationExport, tableExport } from "./export";

const CELL = 21;
const WIDEST = 40;
const LEFT = 124;
const TOP = 76;
const SLANTED = 40; // room for the slanted label of the last column
const LABEL = 12;
const MAX_PIXELS = 16_000; // of a canvas side, in every browser

export function tableView(context: Context): HTMLElement | null {
  const { model, store, actions, theme, tooltip, signal } = context;
  const { generation, payload } = model;
  if (!generation || model.bySteps < 0) return null;
  const attribution: Attribution = payload.attributions[model.bySteps];
  if (attribution.targets.length < 2) return null;
  const { promptLength } = generation;
  const tokens = attribution.targets.map(({ step }) => promptLength + step);
  const table = payload.tables[attribution.table];
  const top = h("canvas", { class: "column-labels" });
  const left = h("canvas", { class: "row-labels" });
  const cells = h("canvas", { class: "score-cells" });
  /** What each text is of a source and its output; nothing for a prompt and its continuation. */
  const { sides } = attribution;
  const border = h("div", { class: "output-border", hidden: true });
  const [atRow, atColumn, selected] = ["hovered-row", "hovered-column", "selected-column"].map((name) =>
    h("div", { class: `mark ${name}`, hidden: true }),
  );
  const plane = h("div", { class: "cells-box" }, cells, border, selected, atRow, atColumn);
  /** The width of a column: all of the room while there are few. */
  let wide = CELL;
  const box = h(
    "div",
    {
      class: "sources-box",
      tabindex: 0,
      role: "group",
      "aria-label": "Scores of every source for every generated token",
      "data-view": "table",
    },
    h("div", { class: "sources-grid" }, h("div", { class: "corner" }), top, left, plane),
  );
  const legend = h("p", { class: "legend" });
  let matrix: ScoreMatrix | undefined;
  let level = "";

  const build = () => {
    const { state } = store;
    if (matrix && level === state.level) return;
    level = state.level;
    // A column depends on the tokens before its own: rows of the answer are its tokens.
    const units = [
      ...model.unitsOf(attribution.table, state.level).filter(({ first }) => first < promptLength),
      ...model.unitsOf(attribution.table, "token").filter(({ first }) => first >= promptLength),
    ];
    const labels = writtenTokens(table, promptLength).map(({ label }) => label);
    const named = tokens.map((token) => labels[token - promptLength]);
    matrix = new ScoreMatrix(attribution.table, table, attribution, units, tokens, named);
  };
  const draw = () => {
    build();
    if (!matrix) return;
    const { rows, keys } = matrix;
    wide = clamp(Math.floor((box.clientWidth - LEFT - SLANTED) / keys), CELL, WIDEST);
    const { colors } = theme;
    const data = { data: matrix, layer: 0, head: 0 };
    const image = paintCells(data, { sinks: "raw", scale: "head" }, colors, whole(matrix), MAX_PIXELS);
    [cells.width, cells.height] = [keys, rows];
    cells.getContext("2d")!.drawImage(canvasOf(image), 0, 0, keys, rows);
    Object.assign(cells.style, { width: `${keys * wide}px`, height: `${rows * CELL}px` });
    drawRows(matrix);
    drawColumns(matrix);
    const first = matrix.rowAxis.spans.findIndex((span) => span.first >= attribution.second);
    border.hidden = attribution.second < 0 || first < 0;
    border.style.top = `${first * CELL - 1}px`;
    const { palette } = colors;
    const { signed } = attribution;
    replace(
      legend,
      h("span", {}, signed ? `opposes (−${formatPercent(matrix.reach)})` : "0 %"),
      scaleSwatches(palette, signed, Math.sqrt),
      h("span", {}, signed ? `supports (+${formatPercent(matrix.reach)})` : formatPercent(matrix.reach)),
      key(swatch(colors.get("masked")), "comes later"),
    );
    mark();
  };
  const drawRows = ({ rows, rowAxis }: ScoreMatrix) => {
    const ratio = Math.min(devicePixelRatio || 1, MAX_PIXELS / (rows * CELL));
    const pen = sized(left, LEFT, rows * CELL, ratio);
    pen.font = `${LABEL}px ${FONT}`;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    pen.fillStyle = theme.colors.get("text");
    for (let row = 0; row < rows; row++)
      pen.fillText(fitted(rowAxis.label(row), LEFT - 12, LABEL), LEFT - 6, (row + 0.5) * CELL);
  };
  const drawColumns = ({ keys, keyAxis }: ScoreMatrix) => {
    const pen = sized(top, keys * wide + SLANTED, TOP);
    pen.font = `${LABEL}px ${FONT}`;
    pen.textBaseline = "middle";
    pen.fillStyle = theme.colors.get("text");
    for (let column = 0; column < keys; column++) {
      pen.save();
      pen.translate((column + 0.5) * wide, TOP - 6);
      pen.rotate(-Math.PI / 3);
      pen.fillText(short(keyAxis.label(column)), 0, 0);
      pen.restore();
    }
  };
  const place = (element: HTMLElement, row: number, column: number) => {
    const { rows, keys } = matrix!;
    element.hidden = row < 0 && column < 0;
    Object.assign(element.style, {
      left: `${Math.max(column, 0) * wide}px`,
      top: `${Math.max(row, 0) * CELL}px`,
      width: `${(column < 0 ? keys : 1) * wide}px`,
      height: `${(row < 0 ? rows : 1) * CELL}px`,
    });
  };
  let under = { row: -1, column: -1 };
  const mark = () => {
    if (!matrix) return;
    const { state } = store;
    const follows = model.followsSteps(model.attribution(state)) && !model.isWhole(state);
    const step = follows ? model.attribution(state)!.targets[state.target].step : -1;
    place(selected, -1, tokens.indexOf(promptLength + step));
    place(atRow, under.row, -1);
    place(atColumn, -1, under.column);
  };
  const cellAt = (event: MouseEvent) => {
    const bounds = cells.getBoundingClientRect();
    const row = Math.floor((event.clientY - bounds.top) / CELL);
    const column = Math.floor((event.clientX - bounds.left) / wide);
    const inside = matrix && row >= 0 && column >= 0 && row < matrix.rows && column < matrix.keys;
    return inside ? { row, column } : { row: -1, column: -1 };
  };
  on(plane, {
    pointermove: (event) => {
      under = cellAt(event);
      mark();
      const { row, column } = under;
      if (!matrix || row < 0) return tooltip.hide();
      const value = matrix.value(row, column);
      const facts: [string, string][] = Number.isNaN(value)
        ? [["score", "none: it comes later"]]
        : [
            ["share", shareWords(matrix.share(row, column), attribution.signed)],
            ["score", formatNumber(value)],
          ];
      return tooltip.show(event, `${matrix.rowAxis.label(row)} → ${matrix.keyAxis.label(column)}`, facts);
    },
    pointerleave: () => {
      under = { row: -1, column: -1 };
      mark();
      tooltip.hide();
    },
    click: (event) => {
      const { column } = cellAt(event);
      if (column >= 0) actions.explain(tokens[column], event.shiftKey);
    },
  });
  on(box, {
    keydown: (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      actions.moveStep(by);
    },
  });
  const reveal = () => {
    const column = tokens.indexOf(store.state.focus);
    if (column < 0 || !box.clientWidth) return;
    const [first, last] = [column * wide, (column + 1) * wide + LEFT + SLANTED];
    if (first < box.scrollLeft) box.scrollLeft = first;
    else if (last > box.scrollLeft + box.clientWidth) box.scrollLeft = last - box.clientWidth;
  };
  store.watch(["level"], draw);
  new ResizeObserver(draw).observe(box);
  fitOnPaper(box, signal);
  theme.watch(draw);
  store.watch(["attribution", "target", "targetEnd"], mark);
  store.watch(["focus"], reveal);
  return h(
    "section",
    { class: "sources-table", "aria-labelledby": "sources-title" },
    h(
      "div",
      { class: "card-head" },
      h("h2", { id: "sources-title" }, `What each token of the ${sides[1] ?? "answer"} is based on`),
      h(
        "div",
        { class: "controls" },
        exportMenu(context.say, "Table", () => matrix && tableExport(context, attribution, matrix)),
        exportMenu(context.say, "Steps", () => generationExport(context), "Export steps"),
      ),
    ),
    h(
      "p",
      { class: "note" },
      `Rows are the ${sides.length ? `${sides[0]} and, below the line, the ${sides[1]} so far` : "prompt and the earlier tokens of the answer"}; columns are the generated tokens. Colors are shares of each column's total, on one square-root scale.`,
    ),
    box,
    legend,
  );
}
