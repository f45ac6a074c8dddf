/** Groups of confident errors that look alike, named by their words. */

import type { DatasetPayload, DatasetSlice } from "../data/payload.generated";
import { h } from "../ui/dom";
import { counted, formatCount, formatPercent } from "../ui/format";
import { bdi, note } from "../ui/parts";
import { unfolding } from "./lazy";
import { rowList } from "./rows";
import type { PageContext } from "./state";

export function slicesView(context: PageContext, payload: DatasetPayload): HTMLElement | null {
  const { slices } = payload;
  if (!slices?.length) return null;
  return h(
    "section",
    { class: "part", "data-section": "slices", "aria-label": "Groups of errors" },
    h("h2", { tabindex: -1 }, "Groups of errors"),
    note(
      "Rows that are wrong and confident for what looks like one reason, named by words that matter in more of them than of right rows, or that more of them have.",
    ),
    h("ol", { class: "tests" }, ...slices.map((slice) => sliceItem(context, payload, slice))),
  );
}

function sliceItem(context: PageContext, payload: DatasetPayload, slice: DatasetSlice): HTMLElement {
  const { words, mistake, errors, size, precision, foundBy, rows } = slice;
  const bar = h("span", { class: "bar wrong" });
  bar.style.width = `${100 * precision}%`;
  return h(
    "li",
    { class: "test slice" },
    h(
      "div",
      { class: "test-head" },
      h("h3", { class: "slice-words" }, ...words.map((word) => h("bdi", { class: "word-tag" }, word))),
      h("span", { class: "note" }, bdi(mistake)),
    ),
    h(
      "p",
      { class: "rate" },
      h("span", { class: "note" }, "wrong among rows with words like these"),
      h("span", { class: "track", "aria-hidden": "true" }, bar),
      h("span", { class: "value" }, formatPercent(precision)),
      h("span", { class: "note" }, `${formatCount(errors)} of ${formatCount(size)}`),
    ),
    note(foundBy),
    rows.length > 0 &&
      unfolding(
        rows.length < errors ? `${counted(rows.length, "typical row")}` : counted(rows.length, "row"),
        () =>
          rowList(
            context,
            rows.map((index) => payload.rows[index]),
            { word: words.length === 1 ? words[0] : "", command: payload.command },
          ),
      ),
  );
}
