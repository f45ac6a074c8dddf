/** The heat map of layers and tokens, or layers and heads, with the selected cell in words. */

import { clamp } from "../data/clamp";
import { exportMenu } from "../export/menu";
import { drawScene } from "../scene/canvas";
import { sized } from "../ui/canvas";
import { h, on, replace, segmented } from "../ui/dom";
import { scaleSwatches } from "../ui/legend";
import { bdi, button, note } from "../ui/parts";
import { fitOnPaper } from "../ui/print";
import { ledgerExport } from "./export";
import { type Grid, gridOf } from "./scene";
import { axisOf, type PageContext, spanAt, spansOf, withMap } from "./state";
import { columnName, contribution, isolated, number, rowSum, valueAt } from "./words";

const MAX_PIXELS = 16_000; // of a canvas side, in every browser
const NAMES: Record<string, string> = {
  residual: "Hidden states",
  attention: "Attention",
  mlp: "MLPs",
  heads: "Heads",
  modules: "Modules",
  blocks: "Blocks × tokens",
  tokens: "Tokens",
};

export function mapView(context: PageContext): HTMLElement {
  const { payload, store, theme, tooltip, signal } = context;
  const { difference } = payload;
  const [top, left, cells] = ["column-labels", "row-labels", "score-cells"].map((name) =>
    h("canvas", { class: name, "aria-hidden": "true" }),
  );
  const [selectedCell, atRow, atColumn] = ["selected-column", "hovered-row", "hovered-column"].map((name) =>
    h("div", { class: `mark ${name}`, hidden: true }),
  );
  const corner = h("div", { class: "corner" });
  const plane = h("div", { class: "cells-box" }, cells, atRow, atColumn, selectedCell);
  const box = h(
    "div",
    { class: "sources-box ledger-box", tabindex: 0, role: "group", "data-view": "ledger" },
    h("div", { class: "sources-grid" }, corner, top, left, plane),
  );
  const readout = h("p", { class: "ledger-readout", role: "status", "data-role": "readout" });
  const legend = h("p", { class: "legend" });
  const meaning = note();
  let grid: Grid | undefined;
  let under = { row: -1, column: -1 };

  const shown = () => {
    const map = payload.maps[store.state.map];
    const axis = axisOf(payload, map);
    return { map, axis, spans: spansOf(axis, store.state.all), difference };
  };
  const draw = () => {
    if (!box.clientWidth) return;
    const isFirst = !grid;
    const drawn = shown();
    grid = gridOf(drawn, theme.colors, box.clientWidth - 2);
    for (const [canvas, scene] of [
      [top, grid.top],
      [left, grid.left],
      [cells, grid.cells],
    ] as const) {
      const most = MAX_PIXELS / Math.max(scene.width, scene.height);
      drawScene(sized(canvas, scene.width, scene.height, Math.min(devicePixelRatio || 1, most)), scene);
    }
    corner.style.width = `${grid.left.width}px`;
    const order = drawn.map.rows.length > 1 ? " The first block is at the bottom." : "";
    replace(meaning, `${drawn.map.meaning}${order}`);
    const { reach } = drawn.map;
    replace(
      legend,
      h("span", {}, `lowers it (${number(-reach)})`),
      scaleSwatches(theme.colors.palette, true),
      h("span", {}, "raises ", bdi(payload.target), ` (${number(reach)})`),
    );
    mark();
    if (isFirst) reveal();
  };
  const place = (element: HTMLElement, row: number, column: number) => {
    const { rowHeight, columnWidth } = grid!;
    const { map, spans } = shown();
    element.hidden = row < 0 && column < 0;
    const up = map.rows.length - 1 - row;
    Object.assign(element.style, {
      left: `${Math.max(column, 0) * columnWidth}px`,
      top: `${row < 0 ? 0 : up * rowHeight}px`,
      width: `${(column < 0 ? spans.length : 1) * columnWidth}px`,
      height: `${(row < 0 ? map.rows.length : 1) * rowHeight}px`,
    });
  };
  const mark = () => {
    if (!grid) return;
    const { state } = store;
    const { spans, axis } = shown();
    const column = spanAt(spans, state.column);
    if (state.row >= 0 && column >= 0) place(selectedCell, state.row, column);
    else selectedCell.hidden = true;
    const hovered = axis.word === "at" ? spanAt(spans, state.hover) : under.column;
    place(atRow, under.row, -1);
    place(atColumn, -1, hovered);
  };
  const sentence = (row: number, column: number): (string | HTMLElement)[] => {
    const { map, axis, spans } = shown();
    const span = spans[column];
    return [
      ...isolated(`${map.rows[row]}, ${axis.word} ${columnName(axis, span)}`),
      `: ${contribution(valueAt(map, row, span), difference)}`,
    ];
  };
  const describe = () => {
    const { state } = store;
    const { map, axis, spans } = shown();
    box.setAttribute(
      "aria-label",
      `${map.name}: ${map.rows.length} rows, ${spans.length} columns; arrow keys select a cell`,
    );
    const column = spanAt(spans, state.column);
    if (state.row < 0 || column < 0) return replace(readout);
    const sum = rowSum(map, state.row);
    const whole = map.isCut
      ? `${number(sum)} of ${number(difference)}, completeness gap ${payload.gaps[state.row].gap}.`
      : `${contribution(sum, difference)}.`;
    return replace(
      readout,
      h("strong", {}, ...sentence(state.row, column)),
      h("span", { class: "note" }, `All ${axis.noun}s, ${map.rows[state.row]}: ${whole}`),
    );
  };
  /** Bring the selected cell into view, without moving the page. */
  const reveal = () => {
    const { state } = store;
    const column = spanAt(shown().spans, state.column);
    if (!grid || column < 0 || state.row < 0) return;
    const { columnWidth, rowHeight } = grid;
    const x = column * columnWidth;
    const y = (shown().map.rows.length - 1 - state.row) * rowHeight;
    const [width, height] = [box.clientWidth - grid.left.width, box.clientHeight - grid.top.height];
    const isLeftOut = x < box.scrollLeft || x + columnWidth > box.scrollLeft + width;
    if (isLeftOut) box.scrollLeft = x - (width - columnWidth) / 2;
    const isBelowOrAbove = y < box.scrollTop || y + rowHeight > box.scrollTop + height;
    if (isBelowOrAbove) box.scrollTop = y - (height - rowHeight) / 2;
  };

  const cellAt = (event: MouseEvent) => {
    const area = cells.getBoundingClientRect();
    const { map, spans } = shown();
    const column = Math.floor((event.clientX - area.left) / (area.width / spans.length));
    const up = Math.floor((event.clientY - area.top) / (area.height / map.rows.length));
    const isInside = column >= 0 && column < spans.length && up >= 0 && up < map.rows.length;
    return isInside ? { row: map.rows.length - 1 - up, column } : { row: -1, column: -1 };
  };
  const hover = (next: { row: number; column: number }) => {
    under = next;
    const { axis, spans } = shown();
    const isToken = axis.word === "at" && next.column >= 0;
    store.set({ hover: isToken ? spans[next.column][0] : -1 });
    mark();
  };
  on(plane, {
    pointermove: (event) => {
      hover(cellAt(event));
      const { row, column } = under;
      if (row < 0) return tooltip.hide();
      const { map, axis, spans } = shown();
      const value = valueAt(map, row, spans[column]);
      return tooltip.show(event, `${map.rows[row]}, ${axis.word} ${columnName(axis, spans[column])}`, [
        ["contribution", contribution(value, difference)],
      ]);
    },
    pointerleave: () => {
      hover({ row: -1, column: -1 });
      tooltip.hide();
    },
    click: (event) => {
      const { row, column } = cellAt(event);
      if (row >= 0) store.set({ row, column: shown().spans[column][0] });
    },
  });
  on(box, {
    keydown: (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const { map, spans } = shown();
      const steps: Record<string, [number, number]> = {
        ArrowUp: [1, 0],
        ArrowDown: [-1, 0],
        ArrowLeft: [0, -1],
        ArrowRight: [0, 1],
        Home: [0, -spans.length],
        End: [0, spans.length],
        PageUp: [map.rows.length, 0],
        PageDown: [-map.rows.length, 0],
      };
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      const { state } = store;
      const column = clamp(Math.max(spanAt(spans, state.column), 0) + step[1], 0, spans.length - 1);
      const row = clamp(Math.max(state.row, 0) + step[0], 0, map.rows.length - 1);
      store.set({ row, column: spans[column][0] });
      reveal();
    },
  });

  const choice = segmented(
    "What is shown",
    payload.maps.map(({ key, name, meaning: tip }, index) => ({
      value: String(index),
      label: NAMES[key] ?? name,
      tip,
    })),
    (value) => store.set(withMap(payload, store.state, Number(value))),
  );
  const isFolded = payload.axes.some(({ drawn, names }) => drawn.length / 2 < names.length);
  const toggle = button("All tokens", () => store.set({ all: !store.state.all }));
  store.watch(["all"], ({ all }) => toggle.setAttribute("aria-pressed", String(all)));
  store.watch(["map"], ({ map }) => choice.show(String(map)));
  store.watch(["map", "all"], () => {
    under = { row: -1, column: -1 };
    draw();
    reveal();
  });
  store.watch(["row", "column", "hover"], mark);
  store.watch(["row", "column", "map", "all"], describe);
  store.watch(["row", "column"], reveal);
  theme.watch(draw);
  new ResizeObserver(draw).observe(box);
  fitOnPaper(box, signal);
  return h(
    "section",
    { class: "ledger-map", "aria-labelledby": "map-title" },
    h(
      "div",
      { class: "card-head" },
      h("h2", { id: "map-title" }, "Where the difference is"),
      h(
        "div",
        { class: "controls" },
        choice.element,
        isFolded && toggle,
        exportMenu(context.say, "Map", () => ledgerExport(context), "Export", payload.command !== ""),
      ),
    ),
    meaning,
    box,
    legend,
    readout,
  );
}
