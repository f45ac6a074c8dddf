/** Two runs side by side: their numbers, the words that changed their role, rows with another answer. */

import { signed as withSign } from "../comparison/state";
import type { DatasetChange, DatasetComparisonPayload, DatasetSide } from "../data/payload.generated";
import { csv } from "../export/csv";
import { type Child, h } from "../ui/dom";
import { counted, formatNumber, formatPercent } from "../ui/format";
import { bdi, list, note, table } from "../ui/parts";
import { cautionsView } from "./cautions";
import { listedView } from "./listed";
import { aligned, type Domain, domainOf, rangeBar } from "./range";
import { rowLegend, someRows } from "./rows";
import { pWords } from "./shortcuts";
import type { PageContext } from "./state";
import type { Column } from "./table";

const FEW = 10; // rows with another answer shown at first
const FEW_SIDE = 2; // rows of a word in each run
const SIDES = ["first", "second"] as const;

export function comparedView(
  context: PageContext,
  payload: DatasetComparisonPayload,
  signal: AbortSignal,
): Child[] {
  return [
    runsView(payload),
    cautionsView(payload.notes),
    changesView(context, payload, signal),
    changedRows(context, payload),
  ];
}

/** The numbers of both runs in one table. */
function runsView({ runs }: DatasetComparisonPayload): HTMLElement {
  const names = [...new Set(runs.flatMap(({ figures }) => figures.map(({ name }) => name)))];
  const cell = (side: number, name: string) => {
    const figure = runs[side].figures.find((one) => one.name === name);
    return h(
      "td",
      {},
      figure ? h("strong", {}, bdi(figure.value)) : "–",
      figure?.detail ? h("span", { class: "note" }, bdi(figure.detail)) : null,
    );
  };
  const lines = names.map((name) =>
    h("tr", {}, h("th", { scope: "row" }, name), cell(0, name), cell(1, name)),
  );
  const head = h(
    "thead",
    {},
    h(
      "tr",
      {},
      h("td"),
      ...runs.map(({ name, origin }) =>
        h("th", { scope: "col" }, h("strong", {}, bdi(name)), h("span", { class: "note" }, bdi(origin))),
      ),
    ),
  );
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "group", "aria-label": "Numbers of both runs" },
    h("table", { class: "runs" }, head, h("tbody", {}, ...lines)),
  );
}

function changesView(
  context: PageContext,
  payload: DatasetComparisonPayload,
  signal: AbortSignal,
): HTMLElement {
  const { changes, measure } = payload;
  const words = changes.map(({ word }) => word);
  const { controls, element } = listedView(
    context,
    () => ({
      words,
      nameOf: (line) => `${changes[line].label ?? ""}/${changes[line].word}`,
      columns: columnsOf(context, payload),
      detail: (line) => detailOf(context, payload, changes[line]),
      nothing: "No word is in both runs often enough to compare.",
      csv: () => changesCsv(changes),
    }),
    signal,
  );
  return h(
    "section",
    { class: "part", "data-section": "words", "aria-label": "Words that changed their role" },
    h(
      "div",
      { class: "card-head" },
      h("h2", { tabindex: -1 }, "Words that changed their role"),
      h("div", { class: "controls" }, ...controls),
    ),
    note(
      `Mean ${measure} of each word in both runs${context.signed ? ", in units of the run's mean absolute word score" : ""}; ● marks a significant change. A correlation, not a cause.`,
    ),
    h("div", { class: "compared" }, element),
  );
}

function columnsOf({ theme, signed }: PageContext, { changes, runs }: DatasetComparisonPayload): Column[] {
  const { colors } = theme;
  const differences = domainOf(
    changes.map(({ difference }) => difference),
    changes.map(({ low }) => low),
    changes.map(({ high }) => high),
  );
  const sides = changes.flatMap(({ before, after }) => [before, after]).filter((side) => side !== null);
  const own = domainOf(
    sides.map(({ effect }) => effect),
    sides.map(({ low }) => low),
    sides.map(({ high }) => high),
  );
  const written = aligned(sides.map(({ effect }) => effect));
  const inUnits = aligned(changes.map(({ difference }) => difference));
  const hasLabels = changes.some(({ label }) => label !== null);
  const columns: (Column | false)[] = [
    {
      key: "word",
      name: "word",
      style: "name",
      value: (line) => changes[line].word,
      cell: (line) =>
        changes[line].significant
          ? h(
              "span",
              { class: "significant", title: "significant" },
              "●",
              h("span", { class: "unseen" }, " significant"),
            )
          : null,
    },
    hasLabels && {
      key: "answer",
      name: "answer",
      style: "label second",
      value: (line) => changes[line].label,
      cell: (line) => bdi(changes[line].label ?? "–"),
    },
    {
      key: "before",
      name: runs[0].name,
      style: "effect",
      tip: `Mean score in ${runs[0].name} with its 95 % interval`,
      value: (line) => changes[line].before?.effect ?? null,
      cell: (line) =>
        sideCell(
          changes[line].before,
          own,
          written,
          colors.bar(changes[line].before?.effect ?? 0, signed, false),
        ),
    },
    {
      key: "after",
      name: runs[1].name,
      style: "effect",
      tip: `Mean score in ${runs[1].name} with its 95 % interval`,
      value: (line) => changes[line].after?.effect ?? null,
      cell: (line) =>
        sideCell(
          changes[line].after,
          own,
          written,
          colors.bar(changes[line].after?.effect ?? 0, signed, false),
        ),
    },
    {
      key: "difference",
      name: "difference",
      style: "effect",
      tip: `${runs[1].name} minus ${runs[0].name} with its 95 % interval`,
      value: (line) => changes[line].difference,
      cell: (line) => {
        const { difference, low, high } = changes[line];
        const color = colors.get(difference < 0 ? "against" : "supports");
        return h(
          "span",
          { class: "value-and-range", title: `95 % interval: ${formatNumber(low)} to ${formatNumber(high)}` },
          h("span", { class: "value" }, withSign(inUnits(difference), difference)),
          rangeBar(difference, low, high, differences, color),
        );
      },
    },
  ];
  return columns.filter((column) => column !== false);
}

function sideCell(
  side: DatasetSide | null,
  domain: Domain,
  written: (value: number) => string,
  color: string,
): HTMLElement {
  if (!side) return h("span", { class: "note" }, "not in it");
  return h(
    "span",
    {
      class: "value-and-range",
      title: `95 % interval: ${formatNumber(side.low)} to ${formatNumber(side.high)}`,
    },
    h("span", { class: "value" }, written(side.effect)),
    rangeBar(side.effect, side.low, side.high, domain, color),
  );
}

function detailOf(context: PageContext, payload: DatasetComparisonPayload, change: DatasetChange): Child[] {
  const { word, label, difference, low, high, adjusted } = change;
  const parts = [change.before, change.after].flatMap((side, index) => {
    const { name, rows, command } = payload.runs[index];
    const of = (side?.rows ?? []).map((row) => rows[row]);
    const facts = side
      ? `${counted(side.count, "occurrence")}, in ${formatPercent(side.share)} of the rows`
      : "not in it";
    return [
      h("h4", {}, bdi(name), " ", h("span", { class: "note" }, facts)),
      of.length > 0 && someRows(context, of, FEW_SIDE, { word, command }),
    ];
  });
  return [
    h(
      "h3",
      { class: "detail-title" },
      bdi(word),
      label !== null && h("span", { class: "note" }, " in rows answered ", bdi(label)),
    ),
    h(
      "p",
      { class: "detail-facts" },
      `Difference ${withSign(formatNumber(difference), difference)} (95 % interval ${formatNumber(low)} to ${formatNumber(high)}), ${pWords(adjusted)}.`,
    ),
    rowLegend(context),
    ...parts,
  ];
}

function changedRows(context: PageContext, { changed, runs }: DatasetComparisonPayload): HTMLElement | null {
  if (!changed.length) return null;
  const { name, rows, command } = runs[1];
  const previous = new Map(changed.map((one) => [rows[one.row], one.previous]));
  return h(
    "section",
    { class: "part", "data-section": "changed", "aria-label": "Rows with another answer" },
    h("h2", { tabindex: -1 }, "Rows with another answer"),
    note("As ", bdi(name), " answers and explains them."),
    rowLegend(context),
    someRows(
      context,
      changed.map(({ row }) => rows[row]),
      FEW,
      { command, previous: (row) => previous.get(row) ?? "" },
    ),
  );
}

function changesCsv(changes: readonly DatasetChange[]): string {
  const side = (one: DatasetSide | null) => [
    one?.effect ?? null,
    one?.low ?? null,
    one?.high ?? null,
    one?.count ?? null,
  ];
  const names = ["effect", "low", "high", "count"];
  return csv(
    [
      "word",
      "answer",
      ...SIDES.flatMap((one) => names.map((name) => `${one}_${name}`)),
      "difference",
      "low",
      "high",
      "adjusted_p",
    ],
    changes.map((change) => [
      change.word,
      change.label,
      ...side(change.before),
      ...side(change.after),
      change.difference,
      change.low,
      change.high,
      change.adjusted,
    ]),
  );
}

export function comparedAbout(payload: DatasetComparisonPayload, size = ""): HTMLElement {
  const { howToRead, omitted, provenance, runs } = payload;
  const lines = provenance.map(({ name, first, second }) =>
    h("tr", {}, h("th", { scope: "row" }, bdi(name)), h("td", {}, bdi(first)), h("td", {}, bdi(second))),
  );
  return h(
    "div",
    { class: "about" },
    list(howToRead),
    omitted.length > 0 && h("h3", {}, "Omitted from this page"),
    omitted.length > 0 && list(omitted),
    h("h3", {}, "Provenance"),
    h(
      "div",
      { class: "scroll" },
      table(["", ...runs.map(({ name }) => name)], h("tbody", {}, ...lines), "pairs"),
    ),
    size && h("p", { class: "note", "data-role": "page-size" }, `Page size: ${size}.`),
    note("Made with model-understanding. This page loads nothing from the network."),
  );
}
