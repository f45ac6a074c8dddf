/** Rows of the data set: each text in the colors of its words' scores, the answer, and how to open it. */

import type { DatasetCommand, DatasetRow, DatasetText } from "../data/payload.generated";
import { copy } from "../ui/clipboard";
import type { Colors } from "../ui/colors";
import { type Child, h, on } from "../ui/dom";
import { formatCount, formatNumber, formatPercent } from "../ui/format";
import { scaleSwatches } from "../ui/legend";
import { bdi, button, numberAt } from "../ui/parts";
import { paintPiece } from "../views/saliency/text";
import { SYMBOLS } from "../words";
import { folderOf, quoted } from "./folder";
import { occurrences } from "./order";
import type { PageContext } from "./state";

const LONG = 500; // characters above which a text scrolls

export interface RowOptions {
  /** Marked in the texts. */
  readonly word?: string;
  /** Opens a row. */
  readonly command: DatasetCommand | null;
  /** What another run answered to a row. */
  readonly previous?: (row: DatasetRow) => string;
}

/** `more` is what else is said of the row at an index. */
export function rowList(
  context: PageContext,
  rows: readonly DatasetRow[],
  {
    word = "",
    command,
    previous = () => "",
    more = () => null,
  }: RowOptions & { more?: (index: number) => Child },
): HTMLElement {
  return h(
    "ol",
    { class: "rows" },
    ...rows.map((row, index) => rowItem(context, row, word, command, previous(row), more(index))),
  );
}

/** The first rows, and a button for the others. */
export function someRows(
  context: PageContext,
  rows: readonly DatasetRow[],
  few: number,
  options: RowOptions,
): HTMLElement {
  const first = rowList(context, rows.slice(0, few), options);
  const rest = rows.slice(few);
  const more = button(`Show ${formatCount(rest.length)} more`, () => {
    const others = [...rowList(context, rest, options).children];
    first.append(...others);
    place.remove();
    others[0].querySelector("summary")?.focus();
  });
  const place = h("p", { class: "more-lines" }, more);
  return h("div", {}, first, rest.length > 0 && place);
}

function rowItem(
  context: PageContext,
  row: DatasetRow,
  word: string,
  command: DatasetCommand | null,
  previous: string,
  more: Child,
): HTMLElement {
  const { label, prediction, probability, verdict } = row;
  const isWrong = label !== null && prediction !== null && label !== prediction;
  return h(
    "li",
    { class: `data-row${isWrong ? " wrong" : ""}` },
    h(
      "p",
      { class: "row-head" },
      h("span", { class: "note" }, row.id === String(row.row) ? "row " : "", bdi(row.id)),
      previous && h("span", { class: "note" }, bdi(previous), " →"),
      prediction !== null && h("strong", { class: "prediction" }, bdi(prediction)),
      probability !== null && h("span", { class: "note" }, formatPercent(probability)),
      label !== null &&
        h(
          "span",
          { class: isWrong ? "mistake" : "note" },
          h("span", { "aria-hidden": "true" }, isWrong ? "✗ " : "✓ "),
          isWrong ? "wrong, label: " : "right",
          isWrong && bdi(label),
        ),
      verdict !== null && verdictChip(verdict),
    ),
    ...row.texts.map((text) => coloredText(context, text, word)),
    more,
    opener(context, row, command),
  );
}

export function verdictChip(verdict: string): HTMLElement {
  return h(
    "strong",
    { class: "chip", "data-verdict": verdict, title: "Faithfulness of the scores" },
    h("span", { "aria-hidden": "true" }, `${SYMBOLS[verdict as keyof typeof SYMBOLS] ?? ""} `),
    verdict,
  );
}

function coloredText({ theme, tooltip, signed }: PageContext, text: DatasetText, word: string): HTMLElement {
  const { parts, scores } = text;
  const marked = occurrences(parts, word);
  const reach = scores.reduce((most, score) => Math.max(most, Math.abs(score)), 0) || 1;
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  const pieces = parts.map((part, index) => {
    if (index % 2 === 0) return part;
    const at = (index - 1) / 2;
    const piece = h(
      "span",
      {
        class: `token${marked.has(at) ? " sought" : ""}`,
        "data-word": at,
        "data-strength": scores[at] / reach,
      },
      part,
    );
    paint(piece, theme.colors, signed);
    return piece;
  });
  const element = h(
    "div",
    {
      class: "row-text",
      ...(size > LONG ? { tabindex: 0, role: "group", "aria-label": "Text of the row" } : {}),
    },
    ...pieces,
  );
  element.dir = "auto";
  on(element, {
    pointermove: (event) => {
      const at = numberAt(event, "word");
      if (at < 0) return tooltip.hide();
      return tooltip.show(event, parts[2 * at + 1], [["score", formatNumber(scores[at])]]);
    },
    pointerleave: () => tooltip.hide(),
  });
  return element;
}

function paint(piece: HTMLElement, colors: Colors, signed: boolean): void {
  paintPiece(piece, colors, Number(piece.dataset.strength), signed, false);
}

/** Color the texts of all rows again, in the colors of another theme. */
export function repaint(root: ParentNode, colors: Colors, signed: boolean): void {
  for (const piece of root.querySelectorAll<HTMLElement>(".row-text .token")) paint(piece, colors, signed);
}

/** The command that opens the row as a report. */
function opener({ say }: PageContext, row: DatasetRow, command: DatasetCommand | null): Child {
  if (!command) return null;
  const words = `${command.start} --from ${quoted(folderOf(command.folder, location))} ${row.argument} --out report.html`;
  const act = async () => {
    try {
      await copy(words);
      say("Copied the command");
    } catch (error) {
      say(error instanceof Error ? error.message : String(error));
    }
  };
  return h(
    "details",
    { class: "opener" },
    h("summary", {}, "Open as full report", h("span", { class: "unseen" }, `: ${row.id}`)),
    h(
      "div",
      { class: "command" },
      h("code", { tabindex: 0 }, words),
      button("Copy", act, "Copy the command"),
    ),
  );
}

/** What the colors of the texts mean. */
export function rowLegend({ theme, signed }: PageContext): HTMLElement {
  const ramp = h("span", {});
  theme.watch(({ palette }) => ramp.replaceChildren(scaleSwatches(palette, signed)));
  return h(
    "p",
    { class: "legend" },
    h("span", {}, signed ? "opposes" : "0"),
    ramp,
    h("span", {}, signed ? "supports the answer" : "most important"),
    h("span", { class: "scale-note" }, "each text has its own scale"),
  );
}
