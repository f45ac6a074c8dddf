/** An overview of a long matrix, with a movable window. */

import type { Context } from "../../context";
import type { Planes } from "../../data/planes";
import { moved, resized, SIZES, SMALL, type Window, whole, windowOf } from "../../state/window";
import { canvasOf, cleared, sized } from "../../ui/canvas";
import { h, on } from "../../ui/dom";
import { formatCount } from "../../ui/format";
import { button } from "../../ui/parts";
import { paintCells } from "./cells";

const LARGEST = 220;
const NARROWEST = 28;

export interface Minimap {
  readonly element: HTMLElement;
  show(planes: Planes): void;
}

export function minimapView(context: Context): Minimap {
  const { model, store, theme } = context;
  const base = h("canvas", { class: "matrix" });
  const over = h("canvas", {
    class: "matrix over",
    tabindex: 0,
    role: "img",
    "aria-label": "Overview of the whole matrix",
    "data-view": "minimap",
  });
  const words = h("p", { class: "note", role: "status" });
  const smaller = button("−", () => resize(-1), "Smaller window");
  const larger = button("+", () => resize(1), "Larger window");
  const element = h(
    "div",
    { class: "minimap" },
    h("div", { class: "heatmap" }, base, over),
    h("div", {}, words, h("div", { class: "controls" }, smaller, larger)),
  );
  let planes: Planes | undefined;
  let painted = "";
  /** Pixels per row and per key of the detailed matrix. */
  let scale = { row: 1, key: 1 };

  const window = (): Window | undefined => planes && windowOf(planes.detail.data, store.state);
  const draw = () => {
    const { state } = store;
    element.hidden = !planes || !state.zoom || !isLong(planes);
    if (!planes || element.hidden) return;
    const { overview, detail } = planes;
    const { rows, keys } = overview.data;
    const longest = Math.max(rows, keys);
    const [width, height] = [keys, rows].map((count) =>
      Math.max(Math.round((LARGEST * count) / longest), NARROWEST),
    );
    scale = { row: height / detail.data.rows, key: width / detail.data.keys };
    const cacheKey = [
      state.map,
      overview.layer,
      overview.head,
      state.level,
      state.sinks,
      state.scale,
      theme.current,
    ];
    if (painted !== cacheKey.join(" ")) {
      painted = cacheKey.join(" ");
      const image = paintCells(overview, state, theme.colors, whole(overview.data), LARGEST);
      const pen = sized(base, width, height);
      pen.imageSmoothingEnabled = image.width > width;
      pen.drawImage(canvasOf(image), 0, 0, width, height);
      sized(over, width, height);
    }
    overlay();
  };
  const overlay = () => {
    const shown = window();
    if (!planes || !shown || element.hidden) return;
    const { rowAxis, keyAxis } = planes.detail.data;
    const pen = cleared(over);
    const row = model.axisIndex(rowAxis, store.state, store.state.focus);
    pen.fillStyle = theme.colors.get("muted");
    if (row >= 0) pen.fillRect(0, row * scale.row, keyAxis.length * scale.key, Math.max(scale.row, 1));
    const box = [
      shown.firstKey * scale.key,
      shown.firstRow * scale.row,
      Math.max(shown.keys * scale.key, 5),
      Math.max(shown.rows * scale.row, 5),
    ] as const;
    // A light line around a dark one is visible on every color of the ramp.
    pen.lineWidth = 4;
    pen.strokeStyle = theme.colors.get("background");
    pen.strokeRect(...box);
    pen.lineWidth = 2;
    pen.strokeStyle = theme.colors.get("text");
    pen.strokeRect(...box);
    const range = (first: number, count: number, all: number) =>
      `${formatCount(first + 1)}–${formatCount(first + count)} of ${formatCount(all)}`;
    words.textContent =
      `Window: rows ${range(shown.firstRow, shown.rows, rowAxis.length)}, ` +
      `columns ${range(shown.firstKey, shown.keys, keyAxis.length)}. ` +
      "Drag the window or move it with the arrow keys; + and − resize it.";
    over.setAttribute("aria-label", `Overview of the whole matrix. ${words.textContent}`);
    const { zoomSize } = store.state;
    smaller.disabled = zoomSize <= SIZES[0];
    larger.disabled = zoomSize >= SIZES[SIZES.length - 1];
  };
  const move = (byRows: number, byKeys: number) => {
    const shown = window();
    if (planes && shown) store.set(moved(planes.detail.data, shown, byRows, byKeys));
  };
  const resize = (by: number) => store.set({ zoomSize: resized(store.state.zoomSize, by) });

  /** The pointer's offset in the window, in pixels, while dragging. */
  let grip: { x: number; y: number } | undefined;
  const drag = (event: PointerEvent) => {
    const shown = window();
    if (!grip || !shown) return;
    const bounds = over.getBoundingClientRect();
    const key = Math.round((event.clientX - bounds.left - grip.x) / scale.key);
    const row = Math.round((event.clientY - bounds.top - grip.y) / scale.row);
    move(row - shown.firstRow, key - shown.firstKey);
  };
  const release = () => {
    grip = undefined;
  };
  on(over, {
    pointerdown: (event) => {
      const shown = window();
      if (!shown) return;
      const bounds = over.getBoundingClientRect();
      const [width, height] = [shown.keys * scale.key, shown.rows * scale.row];
      const x = event.clientX - bounds.left - shown.firstKey * scale.key;
      const y = event.clientY - bounds.top - shown.firstRow * scale.row;
      const inside = x >= 0 && y >= 0 && x <= width && y <= height;
      grip = inside ? { x, y } : { x: width / 2, y: height / 2 };
      over.setPointerCapture(event.pointerId);
      drag(event);
    },
    pointermove: drag,
    pointerup: release,
    pointercancel: release,
    keydown: (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const step = event.shiftKey ? 1 : Math.max(store.state.zoomSize >> 1, 1);
      const far = Number.MAX_SAFE_INTEGER / 2;
      const moves: Record<string, () => void> = {
        ArrowUp: () => move(-step, 0),
        ArrowDown: () => move(step, 0),
        ArrowLeft: () => move(0, -step),
        ArrowRight: () => move(0, step),
        Home: () => move(-far, -far),
        End: () => move(far, far),
        "+": () => resize(1),
        "=": () => resize(1),
        "-": () => resize(-1),
      };
      if (!moves[event.key]) return;
      event.preventDefault();
      moves[event.key]();
    },
  });

  store.watch(["zoom", "sinks", "scale"], draw);
  store.watch(["zoomRow", "zoomKey", "zoomSize", "focus", "attribution"], overlay);
  theme.watch(draw);
  return {
    element,
    show: (shown) => {
      planes = shown;
      painted = "";
      draw();
    },
  };
}

/** Whether a matrix is too large to be shown whole with labels. */
export function isLong({ detail }: Planes): boolean {
  return Math.max(detail.data.rows, detail.data.keys) > SMALL;
}
