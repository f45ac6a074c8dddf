/** Right classes against answers: a matrix, or the most frequent mistakes of many classes. */

import type { DatasetCell, DatasetConfusion, DatasetPayload } from "../data/payload.generated";
import { textOn } from "../ui/colors";
import { h, replace } from "../ui/dom";
import { counted, formatCount, formatPercent } from "../ui/format";
import { bdi, button, note, table } from "../ui/parts";
import { rowLegend, someRows } from "./rows";
import type { PageContext } from "./state";

const FEW_ROWS = 3;
const FEW = 20; // mistakes shown at first

export function confusionView(context: PageContext, payload: DatasetPayload): HTMLElement | null {
  const { confusion } = payload;
  if (!confusion) return null;
  const { store } = context;
  const picture = h("div", {
    class: "scroll",
    tabindex: 0,
    role: "group",
    "aria-label": "Right classes against answers",
  });
  const detail = h("div", { class: "detail", role: "region", "aria-label": "Rows of the selected cell" });
  const total = confusion.totals.reduce((sum, count) => sum + count, 0);
  let most = FEW;
  const rest = confusion.isMatrix ? 0 : confusion.cells.length - FEW;
  const more = button(`Show ${formatCount(rest)} more`, () => {
    most = confusion.cells.length;
    more.remove();
    draw();
  });
  const draw = () => {
    const { cell } = store.state;
    replace(
      picture,
      confusion.isMatrix ? matrix(context, payload, confusion) : mistakes(context, payload, confusion, most),
    );
    const chosen = confusion.cells.find((candidate) => nameOf(candidate) === cell);
    const rows = chosen ? rowsOf(payload, chosen) : [];
    const [right, answer] = chosen
      ? [confusion.labels[chosen.label], confusion.labels[chosen.prediction]]
      : ["", ""];
    replace(
      detail,
      chosen &&
        h(
          "h3",
          { class: "detail-title" },
          chosen.label === chosen.prediction ? "Right: " : "Right class ",
          bdi(right),
          chosen.label !== chosen.prediction && " answered ",
          chosen.label !== chosen.prediction && bdi(answer),
        ),
      chosen &&
        note(
          `${formatCount(rows.length)} of ${counted(chosen.count, "row")} on this page, the most confident first`,
        ),
      rows.length > 0 && someRows(context, rows, FEW_ROWS, { command: payload.command }),
      rows.length > 0 && rowLegend(context),
    );
  };
  store.watch(["cell"], draw);
  context.theme.watch(draw);
  return h(
    "section",
    { class: "part", "data-section": "confusion", "aria-label": "Right classes and answers" },
    h("h2", { tabindex: -1 }, confusion.isMatrix ? "Right classes and answers" : "Most frequent mistakes"),
    note(
      total
        ? `${counted(total, "labeled row")}. In each cell: rows, and the mean probability of the answer. Click a cell to see its rows.`
        : "No row has a label.",
    ),
    total > 0 &&
      h(
        "div",
        { class: "words-split" },
        h("div", {}, picture, rest > 0 && h("p", { class: "more-lines" }, more)),
        h("div", { class: "detail-panel" }, detail),
      ),
  );
}

function nameOf({ label, prediction }: DatasetCell): string {
  return `${label}-${prediction}`;
}

/** The rows of the page that belong in a cell. */
function rowsOf({ rows, confusion }: DatasetPayload, { label, prediction }: DatasetCell) {
  const { labels } = confusion!;
  return rows
    .filter((row) => row.label === labels[label] && row.prediction === labels[prediction])
    .sort((one, other) => (other.probability ?? 0) - (one.probability ?? 0));
}

function face(context: PageContext, payload: DatasetPayload, cell: DatasetCell): HTMLElement {
  const words = [
    h("strong", {}, formatCount(cell.count)),
    cell.confidence !== null && h("small", {}, formatPercent(cell.confidence)),
  ];
  if (!rowsOf(payload, cell).length) return h("span", { class: "cell-face" }, ...words);
  const name = nameOf(cell);
  const { labels } = payload.confusion!;
  return h(
    "button",
    {
      type: "button",
      class: "cell-face",
      "aria-pressed": String(context.store.state.cell === name),
      "aria-label": `${labels[cell.label]} answered ${labels[cell.prediction]}: ${counted(cell.count, "row")}`,
      on: { click: () => context.store.set({ cell: context.store.state.cell === name ? "" : name }) },
    },
    ...words,
  );
}

function matrix(
  context: PageContext,
  payload: DatasetPayload,
  { labels, cells, totals }: DatasetConfusion,
): HTMLElement {
  const { colors } = context.theme;
  const lines = labels.map((label, row) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, bdi(label), h("span", { class: "note" }, formatCount(totals[row]))),
      ...labels.map((_, column) => {
        const cell = cells.find((candidate) => candidate.label === row && candidate.prediction === column);
        const td = h(
          "td",
          { class: row === column ? "diagonal" : "" },
          cell ? face(context, payload, cell) : h("span", { class: "cell-face" }, "0"),
        );
        const strength = cell ? cell.count / Math.max(totals[row], 1) : 0;
        if (strength > 0) {
          const background = colors.score(row === column ? strength : -strength, true);
          td.style.background = background;
          td.style.color = textOn(background);
        }
        return td;
      }),
    ),
  );
  const head = h(
    "thead",
    {},
    h(
      "tr",
      {},
      h("td", {}, h("span", { class: "note" }, "right class ↓ answer →")),
      ...labels.map((label) => h("th", { scope: "col" }, bdi(label))),
    ),
  );
  return h("table", { class: "confusion" }, head, h("tbody", {}, ...lines));
}

/** The most frequent mistakes of many classes, those with the selected cell at least. */
function mistakes(
  context: PageContext,
  payload: DatasetPayload,
  { labels, cells }: DatasetConfusion,
  most: number,
): HTMLElement {
  if (!cells.length) return note("No mistakes.");
  const chosen = cells.findIndex((cell) => nameOf(cell) === context.store.state.cell);
  const lines = cells
    .slice(0, Math.max(most, chosen + 1))
    .map((cell) =>
      h(
        "tr",
        {},
        h("td", {}, bdi(labels[cell.label])),
        h("td", {}, bdi(labels[cell.prediction])),
        h("td", {}, face(context, payload, cell)),
      ),
    );
  return table(["right class", "answer", "rows"], h("tbody", {}, ...lines), "pairs mistakes");
}
