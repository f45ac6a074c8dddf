/** How far the scores of a sample of rows are to be believed. */

import type { DatasetPayload } from "../data/payload.generated";
import { h } from "../ui/dom";
import { counted, formatCount, formatPercent } from "../ui/format";
import { note } from "../ui/parts";
import { cautionsView } from "./cautions";
import { unfolding } from "./lazy";
import { rowList, verdictChip } from "./rows";
import type { PageContext } from "./state";

export function trustView(context: PageContext, payload: DatasetPayload): HTMLElement | null {
  const { trust } = payload;
  if (!trust?.rows && !trust?.cautions.length) return null;
  const { rows, sentence, verdicts, least, cautions } = trust;
  const tested = verdicts.filter(({ name }) => name !== "not measured");
  return h(
    "section",
    { class: "part", "data-section": "trust", "aria-label": "Faithfulness of the scores" },
    h("h2", { tabindex: -1 }, "Faithfulness of the scores"),
    rows > 0 && note(sentence),
    cautionsView(cautions),
    h(
      "ul",
      { class: "verdicts" },
      ...tested.map(({ name, count }) => {
        const bar = h("span", { class: "bar" });
        bar.style.width = `${(100 * count) / rows}%`;
        return h(
          "li",
          { class: "rate" },
          h("span", {}, verdictChip(name)),
          h("span", { class: "track", "aria-hidden": "true" }, bar),
          h("span", { class: "value" }, formatPercent(count / rows)),
          h("span", { class: "note" }, counted(count, "row")),
        );
      }),
    ),
    least.length > 0 &&
      unfolding(leastTitle(least.length, rows), () =>
        rowList(
          context,
          least.map((index) => payload.rows[index]),
          { command: payload.command },
        ),
      ),
  );
}

/** Rows are ordered by how far they are to be believed, also where all of them are. */
function leastTitle(shown: number, sampled: number): string {
  return shown >= sampled
    ? `${sampled === 1 ? "The sampled row" : `All ${formatCount(sampled)} sampled rows`}, least believable first`
    : `${formatCount(shown)} of ${formatCount(sampled)} sampled rows, least believable first`;
}
