/** The logit lens: each layer's prediction, as a grid of all positions and a table for the selected one. */

import type { Context } from "../../context";
import { clamp } from "../../data/clamp";
import { exportMenu } from "../../export/menu";
import { drawScene } from "../../scene/canvas";
import { sized } from "../../ui/canvas";
import { h, on, replace } from "../../ui/dom";
import { formatCount, formatNumber, formatPercent } from "../../ui/format";
import { bar, bdi, card, note, table, track } from "../../ui/parts";
import { fitOnPaper } from "../../ui/print";
import { columnOf, type Reading, readingOf, rowsOf } from "./data";
import { layersExport } from "./export";
import { type Grid, gridOf, HEAD } from "./scene";

export function layersView(context: Context): HTMLElement | null {
  const { model, store, actions, theme, tooltip, signal } = context;
  const { lens } = model.payload;
  if (!lens) return null;
  const count = lens.positions.length;
  const rows = rowsOf(lens);
  const tokens = lens.positions.map((position) => model.payload.tables[lens.table].labels[position] ?? "");
  const [names, canvas] = [h("canvas", { "aria-hidden": "true" }), h("canvas", { role: "img" })];
  const mark = h("div", { class: "lens-mark" });
  const box = h(
    "div",
    {
      class: "lens-grid",
      tabindex: 0,
      role: "group",
      "data-view": "layers",
      "aria-label": "Predictions by layer and position; arrow keys move the selection",
    },
    names,
    h("div", { class: "lens-cells" }, canvas, mark),
  );
  const heading = h("h3", {});
  const body = h("tbody");
  let selectedColumn = count - 1;
  let grid: Grid | undefined;

  const draw = () => {
    if (count < 2 || !box.clientWidth) return;
    grid = gridOf(lens, tokens, theme.colors, box.clientWidth);
    for (const [target, scene] of [
      [names, grid.names],
      [canvas, grid.cells],
    ] as const)
      drawScene(sized(target, scene.width, scene.height), scene);
    canvas.setAttribute("aria-label", `${rows.length} layers, ${count} positions; see the table`);
    point();
  };
  /** Mark the selected column and bring it into view. */
  const point = () => {
    if (!grid) return;
    const { columnWidth, rowHeight } = grid;
    const left = selectedColumn * columnWidth;
    Object.assign(mark.style, {
      left: `${left}px`,
      width: `${columnWidth}px`,
      height: `${HEAD + rows.length * rowHeight}px`,
    });
    const room = box.clientWidth - grid.names.width;
    if (left < box.scrollLeft) box.scrollLeft = left;
    else if (left + columnWidth > box.scrollLeft + room) box.scrollLeft = left + columnWidth - room;
  };

  const describe = () => {
    const next = lens.labels[lens.next[selectedColumn]];
    const words = [tokens[selectedColumn], next].filter((word) => word).map((word) => bdi(word));
    replace(heading, words[0], words[1] && " → ", words[1]);
    const color = theme.colors.get("unsigned");
    replace(body, ...rows.map((layer) => line(readingOf(lens, layer, selectedColumn), color)));
  };

  const follows = () => {
    const { state } = store;
    const columnFor = (token: number) => columnOf(lens, token);
    const own = model.tableIndex(state) === lens.table ? columnFor(state.focus) : -1;
    const step = model.generation ? columnFor(model.generation.promptLength + actions.currentStep()) : -1;
    if (own >= 0 || step >= 0) selectedColumn = own >= 0 ? own : step;
    point();
    describe();
  };
  const cellAt = (event: MouseEvent): [number, number] => {
    const area = canvas.getBoundingClientRect();
    const { columnWidth, rowHeight } = grid!;
    return [
      clamp(Math.floor((event.clientX - area.left) / columnWidth), 0, count - 1),
      clamp(Math.floor((event.clientY - area.top - HEAD) / rowHeight), 0, rows.length - 1),
    ];
  };
  on(canvas, {
    click: (event) => {
      const [column] = cellAt(event);
      const position = lens.positions[column];
      if (position < 0) return;
      // Select the token predicted there; at the last position there is none.
      const last = position + 1 >= model.payload.tables[lens.table].labels.length;
      actions.select(last ? position : position + 1);
    },
    pointermove: (event) => {
      const [column, row] = cellAt(event);
      const reading = readingOf(lens, rows[row], column);
      tooltip.show(
        event,
        `${reading.layer}${tokens[column] ? `, after ${tokens[column]}` : ""}`,
        reading.predictions.map(({ label, probability }) => [label, formatPercent(probability)]),
      );
    },
    pointerleave: () => tooltip.hide(),
  });
  store.watch(["focus", "attribution", "target"], follows);
  theme.watch(() => {
    draw();
    describe();
  });
  if (count > 1) new ResizeObserver(draw).observe(box);
  fitOnPaper(box, signal);

  return card(
    "layers",
    h("h2", {}, "Logit lens: the prediction at each layer"),
    [exportMenu(context.say, "Logit lens", () => layersExport(context))],
    note(
      "Each layer's hidden states go through the model's final norm and output head, which were trained for the last layer only. The last layer is at the top; a stronger color means a higher probability.",
    ),
    h(
      "div",
      { class: `lens${count > 1 ? "" : " single"}` },
      count > 1 && box,
      h(
        "div",
        {
          class: "lens-table",
          tabindex: 0,
          role: "region",
          "aria-label": "Predictions at the selected position",
        },
        heading,
        table(["layer", "prediction", "rank", "entropy", "KL"], body),
      ),
    ),
    note(
      "Rank: the rank of the model's final prediction at this layer. Entropy and KL divergence from the model's output distribution are in nats.",
    ),
  );
}

function line(reading: Reading, color: string): HTMLElement {
  const [best, ...others] = reading.predictions;
  return h(
    "tr",
    { class: reading.rank === 1 ? "agrees" : "" },
    h("th", { scope: "row" }, reading.layer),
    h(
      "td",
      { title: others.map(({ label, probability }) => `${label} ${formatPercent(probability)}`).join("   ") },
      bdi(best.label),
      ` ${formatPercent(best.probability)}`,
      h(
        "small",
        {},
        others
          .slice(0, 2)
          .map(({ label, probability }) => ` · \u2068${label}\u2069 ${formatPercent(probability)}`)
          .join(""),
      ),
      track(bar(100 * best.probability, color)),
    ),
    h("td", {}, formatCount(reading.rank)),
    h("td", {}, reading.entropy.toFixed(2)),
    h("td", {}, formatNumber(reading.divergence)),
  );
}
