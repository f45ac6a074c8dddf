/** One head's weights as a matrix: rows look, columns are looked at. */

import type { AttentionData } from "../../attention-data";
import type { Context } from "../../context";
import { h } from "../../dom";
import { drawMatrix, sized } from "./drawing";
import { type Frame, frameOf } from "./frame";
import { cellRows, keyOfToken, placeWords, rowOfToken } from "./words";

export interface Heatmap {
  readonly element: HTMLElement;
  show(data: AttentionData): void;
}

export function heatmapView(context: Context): Heatmap {
  const { model, store, actions, theme, tooltip } = context;
  const base = h("canvas", { class: "matrix" });
  const over = h("canvas", { class: "matrix over", tabindex: 0, role: "img", "data-view": "heatmap" });
  const element = h("div", { class: "heatmap" }, base, over);
  let data: AttentionData | undefined;
  let frame: Frame | undefined;
  let hovered: { row: number; key: number } | undefined;
  let view = { row: 0, key: 0 };
  let scheduled = 0;

  const selectedRow = () => rowOfToken(context, data!, store.state.focus);
  const draw = () => {
    scheduled = 0;
    if (!data || !element.clientWidth) return;
    const { state } = store;
    const width = element.clientWidth;
    frame = frameOf(data, width, { zoom: state.zoom, ...view });
    const pen = sized(base, frame);
    drawMatrix(pen, model, data, state, theme.colours, frame);
    sized(over, frame);
    overlay();
    const where = placeWords(data, state);
    const extent = `${data.rows.toLocaleString("en")} × ${data.keys.toLocaleString("en")}`;
    over.setAttribute(
      "aria-label",
      `Attention matrix, ${where}: ${extent} weights. Arrow keys move the selection.`,
    );
  };
  const schedule = () => {
    if (!scheduled) scheduled = requestAnimationFrame(draw);
  };

  const overlay = () => {
    if (!data || !frame) return;
    const pen = over.getContext("2d")!;
    const ratio = devicePixelRatio || 1;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, frame.width, frame.height);
    const { colours } = theme;
    const [width, height] = [frame.keys * frame.cell, frame.rows * frame.cell];
    const row = selectedRow();
    const key = keyOfToken(context, data, store.state.focus);
    pen.lineWidth = 2;
    pen.strokeStyle = colours.get("text");
    if (row >= frame.firstRow && row < frame.firstRow + frame.rows) {
      const y = frame.top + (row - frame.firstRow) * frame.cell;
      pen.strokeRect(frame.left - 1, y - 1, width + 2, Math.max(frame.cell, 2) + 2);
    } else if (row < 0 && key >= frame.firstKey && key < frame.firstKey + frame.keys) {
      const x = frame.left + (key - frame.firstKey) * frame.cell;
      pen.strokeRect(x - 1, frame.top - 1, Math.max(frame.cell, 2) + 2, height + 2);
    }
    pen.lineWidth = 1;
    pen.strokeStyle = colours.get("muted");
    const hoverRow = hovered?.row ?? rowOfToken(context, data, store.state.hover);
    const hoverKey = hovered?.key ?? keyOfToken(context, data, store.state.hover);
    if (hoverRow >= frame.firstRow && hoverRow < frame.firstRow + frame.rows) {
      pen.strokeRect(
        frame.left,
        frame.top + (hoverRow - frame.firstRow) * frame.cell,
        width,
        Math.max(frame.cell, 2),
      );
    }
    if (hoverKey >= frame.firstKey && hoverKey < frame.firstKey + frame.keys) {
      pen.strokeRect(
        frame.left + (hoverKey - frame.firstKey) * frame.cell,
        frame.top,
        Math.max(frame.cell, 2),
        height,
      );
    }
  };

  const cellAt = (event: MouseEvent) => {
    if (!frame || !data) return undefined;
    const box = over.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left - frame.left) / frame.cell);
    const line = Math.floor((event.clientY - box.top - frame.top) / frame.cell);
    if (column < 0 || line < 0 || column >= frame.keys || line >= frame.rows) return undefined;
    return { row: line + frame.firstRow, key: column + frame.firstKey };
  };
  over.addEventListener("pointermove", (event) => {
    hovered = cellAt(event);
    overlay();
    if (!hovered || !data) return tooltip.hide();
    const { state } = store;
    const { part } = data;
    const from = model.payload.tables[part.rowTable].labels[part.rowPositions[hovered.row]];
    const to = model.payload.tables[part.keyTable].labels[part.keyPositions[hovered.key]];
    const heading = `${part.steps ? `step ${hovered.row + 1}: ` : ""}${from} → ${to}`;
    return tooltip.show(
      event.clientX,
      event.clientY,
      heading,
      cellRows(data, state, hovered.row, hovered.key),
    );
  });
  over.addEventListener("pointerleave", () => {
    hovered = undefined;
    tooltip.hide();
    overlay();
  });
  over.addEventListener("click", (event) => {
    const cell = cellAt(event);
    if (!cell || !data) return;
    view = cell;
    const token = data.part.rowPositions[cell.row];
    if (data.part.rowTable === model.tableIndex(store.state))
      actions.select(token, { extend: event.shiftKey });
  });

  store.watch(["layer", "head", "sinks", "scale", "zoom"], schedule);
  store.watch(["anchor", "focus"], () => {
    if (!data) return;
    const row = selectedRow();
    if (row >= 0 && store.state.zoom) {
      view = { row, key: Math.max(keyOfToken(context, data, store.state.focus), 0) };
      schedule();
    } else {
      if (row >= 0) view = { row, key: Math.max(keyOfToken(context, data, store.state.focus), 0) };
      overlay();
    }
  });
  store.watch(["hover", "attribution"], overlay);
  theme.watch(schedule);
  new ResizeObserver(schedule).observe(element);
  return {
    element,
    show: (shown) => {
      data = shown;
      hovered = undefined;
      view = { row: 0, key: 0 };
      schedule();
    },
  };
}
