/** One head's weights as a matrix: rows are queries, columns are keys. */

import type { Context } from "../../context";
import type { Plane, Planes } from "../../data/planes";
import { drawScene } from "../../scene/canvas";
import type { State } from "../../state/store";
import { contains, windowOf } from "../../state/window";
import { cleared, sized } from "../../ui/canvas";
import { h, on } from "../../ui/dom";
import { formatCount } from "../../ui/format";
import { planeWords } from "../../words";
import { cellRows } from "./cell-tooltip";
import { type Frame, frameOf } from "./frame";
import { matrixScene } from "./scene";

export interface Heatmap {
  readonly element: HTMLElement;
  show(planes: Planes): void;
}

/** The plane on screen: individual cells in a window, else the overview. */
export function planeShown(planes: Planes, state: Readonly<State>): Plane {
  return state.zoom ? planes.detail : planes.overview;
}

export function heatmapView(context: Context): Heatmap {
  const { model, store, actions, theme, tooltip } = context;
  const base = h("canvas", { class: "matrix" });
  const over = h("canvas", {
    class: "matrix over",
    tabindex: 0,
    role: "img",
    "aria-label": "Attention matrix",
    "data-view": "heatmap",
  });
  const element = h("div", { class: "heatmap" }, base, over);
  let planes: Planes | undefined;
  let plane: Plane | undefined;
  let frame: Frame | undefined;
  let hovered: { row: number; key: number } | undefined;
  let scheduled = 0;

  const cellOf = (token: number) => {
    if (!plane) return { row: -1, key: -1 };
    const { rowAxis, keyAxis } = plane.data;
    return {
      row: model.axisIndex(rowAxis, store.state, token),
      key: model.axisIndex(keyAxis, store.state, token),
    };
  };
  const draw = () => {
    scheduled = 0;
    if (!planes || !element.clientWidth) return;
    const { state } = store;
    plane = planeShown(planes, state);
    const { data } = plane;
    const isFirst = !frame;
    frame = frameOf(data, windowOf(data, state), element.clientWidth);
    drawScene(sized(base, frame.width, frame.height), matrixScene(plane, state, theme.colors, frame));
    sized(over, frame.width, frame.height);
    overlay();
    if (isFirst) follow(); // the selection may have moved before the map was drawn
    const extent = `${formatCount(data.rows)} × ${formatCount(data.keys)}`;
    const part = frame.rows < data.rows || frame.keys < data.keys ? `a window of ${extent}` : extent;
    over.setAttribute(
      "aria-label",
      `Attention matrix, ${planeWords(plane)}: ${part} weights. Arrow keys move the selection.`,
    );
  };
  const schedule = () => {
    if (!scheduled) scheduled = requestAnimationFrame(draw);
  };

  const overlay = () => {
    if (!plane || !frame) return;
    const pen = cleared(over);
    const { firstRow, rows, firstKey, keys, left, top, cellWidth, cellHeight } = frame;
    const [wide, tall] = [Math.max(cellWidth, 2), Math.max(cellHeight, 2)];
    const [width, height] = [keys * cellWidth, rows * cellHeight];
    const atRow = (row: number, by = 0) => {
      if (row < firstRow || row >= firstRow + rows) return;
      const y = top + (row - firstRow) * cellHeight;
      pen.strokeRect(left - by, y - by, width + 2 * by, tall + 2 * by);
    };
    const atKey = (key: number, by = 0) => {
      if (key < firstKey || key >= firstKey + keys) return;
      const x = left + (key - firstKey) * cellWidth;
      pen.strokeRect(x - by, top - by, wide + 2 * by, height + 2 * by);
    };
    const selected = cellOf(store.state.focus);
    pen.lineWidth = 2;
    pen.strokeStyle = theme.colors.get("text");
    if (selected.row >= 0) atRow(selected.row, 1);
    else atKey(selected.key, 1);
    pen.lineWidth = 1;
    pen.strokeStyle = theme.colors.get("muted");
    const under = hovered ?? cellOf(store.state.hover);
    atRow(under.row);
    atKey(under.key);
  };

  const cellAt = (event: MouseEvent) => {
    if (!frame) return undefined;
    const box = over.getBoundingClientRect();
    const key = Math.floor((event.clientX - box.left - frame.left) / frame.cellWidth) + frame.firstKey;
    const row = Math.floor((event.clientY - box.top - frame.top) / frame.cellHeight) + frame.firstRow;
    return contains(frame, row, key) ? { row, key } : undefined;
  };
  on(over, {
    pointermove: (event) => {
      hovered = cellAt(event);
      overlay();
      if (!hovered || !plane) return tooltip.hide();
      const { row, key } = hovered;
      const { rowAxis, keyAxis, part } = plane.data;
      const heading = `${part.steps ? `step ${row + 1}: ` : ""}${rowAxis.label(row)} → ${keyAxis.label(key)}`;
      return tooltip.show(event, heading, cellRows(model, plane, store.state, row, key));
    },
    pointerleave: () => {
      hovered = undefined;
      tooltip.hide();
      overlay();
    },
    click: (event) => {
      const cell = cellAt(event);
      if (!cell || !plane) return;
      const { rowAxis } = plane.data;
      if (rowAxis.table === model.tableIndex(store.state))
        actions.select(rowAxis.token(cell.row), { extend: event.shiftKey });
    },
  });

  /** Move the window to a selection outside it. */
  const follow = () => {
    const { zoom, focus } = store.state;
    if (!frame || !zoom || focus < 0) return;
    const { row, key } = cellOf(focus);
    const { firstRow, rows, firstKey, keys } = frame;
    const isSeen =
      row >= 0 ? row >= firstRow && row < firstRow + rows : key >= firstKey && key < firstKey + keys;
    if (!isSeen && Math.max(row, key) >= 0) store.set({ zoomRow: focus, zoomKey: focus });
  };
  store.watch(["focus", "zoom"], follow);
  store.watch(["sinks", "scale", "zoom", "zoomRow", "zoomKey", "zoomSize"], schedule);
  store.watch(["anchor", "focus", "hover", "attribution"], overlay);
  theme.watch(schedule);
  new ResizeObserver(schedule).observe(element);
  return {
    element,
    show: (shown) => {
      planes = shown;
      hovered = undefined;
      schedule();
    },
  };
}
