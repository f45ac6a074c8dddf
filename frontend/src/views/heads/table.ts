/** The heads with the highest scores as a table, for reports without the heads' maps. */

import type { HeadScores } from "../../data/payload.generated";
import { h } from "../../ui/dom";
import { formatNumber } from "../../ui/format";
import { note, table } from "../../ui/parts";
import { ranked } from "./rankings";

const MOST = 10;

export function headTable(heads: HeadScores): HTMLElement {
  const count = heads.scores[0]?.length ?? 0;
  const orders = heads.scores.map((scores, index) => {
    const ranking = { name: "", meaning: "", signed: heads.signed[index], isShare: false, scores };
    return ranked(ranking, count, MOST);
  });
  const cell = (index: number, rank: number) => {
    const head = orders[index][rank];
    const place = `${Math.floor(head / heads.heads)}·${head % heads.heads}`;
    return h("td", { title: heads.meanings[index] }, `${place}: ${formatNumber(heads.scores[index][head])}`);
  };
  const rows = Array.from({ length: Math.min(MOST, count) }, (_, rank) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, `${rank + 1}`),
      ...heads.names.map((_, index) => cell(index, rank)),
    ),
  );
  const names = heads.names.map((name) => name.replaceAll("_", " "));
  const words = note();
  words.textContent = `The ${rows.length} of ${count} heads with the highest value of each score, written layer·head: score. This report has no attention maps of them.`;
  return h(
    "div",
    { class: "head-table" },
    words,
    h(
      "div",
      { class: "lens-table", tabindex: 0, role: "region", "aria-label": "Scores of attention heads" },
      table(["rank", ...names], h("tbody", {}, ...rows)),
    ),
  );
}
