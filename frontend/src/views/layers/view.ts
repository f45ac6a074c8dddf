/** The logit lens: each layer's prediction, as a grid of all positions and a table for the selected one. */

import type { Context } from "../../context";
import { clamp } from "../../data/clamp";
import { exportMenu } from "../../export/menu";
import { sized } from "../../ui/canvas";
import { textOn } from "../../ui/colors";
import { h, on, replace } from "../../ui/dom";
import { formatCount, formatNumber, formatPercent } from "../../ui/format";
import { bar, bdi, card, note, table, track } from "../../ui/parts";
import { columnOf, type Reading, readingOf, rowsOf } from "./data";
import { layersExport } from "./export";

const FOOT = 22; // below the cells, for the tokens
const WIDEST = 76;

export function layersView(context: Context): HTMLElement | null {
  const { model, store, actions, theme, tooltip } = context;
  const { lens } = model.payload;
  if (!lens) return null;
  const count = lens.positions.length;
  const rows = rowsOf(lens);
  const tokens = lens.positions.map((position) => model.payload.tables[lens.table].labels[position] ?? "");
  const height = clamp(Math.round(460 / rows.length), 14, 26);
  const canvas = h("canvas", { role: "img" });
  const box = h(
    "div",
    {
      class: "lens-grid",
      tabindex: 0,
      role: "group",
      "data-view": "layers",
      "aria-label": "Predictions by layer and position; arrow keys move the selection",
    },
    canvas,
  );
  const heading = h("h3", {});
  const body = h("tbody");
  let selectedColumn = count - 1;

  const widthOf = () => Math.min((box.clientWidth || 600) / count, WIDEST);
  const draw = () => {
    const { colors } = theme;
    const each = widthOf();
    const [width, tall] = [each * count, rows.length * height + FOOT];
    const pen = sized(canvas, width, tall);
    pen.font = `11px ${getComputedStyle(box).fontFamily}`;
    pen.textBaseline = "middle";
    const write = (words: string, x: number, y: number, color: string) => {
      if (each < 16) return;
      pen.save();
      pen.beginPath();
      pen.rect(x + 1, y, each - 2, height);
      pen.clip();
      pen.fillStyle = color;
      // Text that is too wide is aligned left and cut off at its end.
      const room = pen.measureText(words).width > each - 4;
      pen.textAlign = room ? "left" : "center";
      pen.fillText(words, room ? x + 2 : x + each / 2, y + height / 2);
      pen.restore();
    };
    rows.forEach((layer, row) => {
      for (let column = 0; column < count; column++) {
        const [best] = readingOf(lens, layer, column).predictions;
        const face = colors.score(best.probability, false);
        pen.fillStyle = face;
        pen.fillRect(column * each, row * height, each, height);
        write(best.label, column * each, row * height, textOn(face));
      }
    });
    tokens.forEach((token, column) => {
      write(
        token,
        column * each,
        rows.length * height,
        colors.get(column === selectedColumn ? "text" : "muted"),
      );
    });
    pen.strokeStyle = colors.get("text");
    pen.lineWidth = 2;
    pen.strokeRect(selectedColumn * each + 1, 1, each - 2, rows.length * height - 2);
    canvas.setAttribute("aria-label", `${rows.length} layers, ${count} positions; see the table`);
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
    draw();
    describe();
  };
  const cellAt = (event: MouseEvent): [number, number] => {
    const area = canvas.getBoundingClientRect();
    return [
      clamp(Math.floor((event.clientX - area.left) / widthOf()), 0, count - 1),
      clamp(Math.floor((event.clientY - area.top) / height), 0, rows.length - 1),
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
  theme.watch(follows);
  if (count > 1) new ResizeObserver(draw).observe(box);

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
