/** Words with which an answer is given more often than is right: a correlation, apart from causal tests. */

import { points } from "../comparison/state";
import type { DatasetOverused, DatasetPayload } from "../data/payload.generated";
import { h } from "../ui/dom";
import { formatCount } from "../ui/format";
import { bdi, note } from "../ui/parts";
import { unfolding } from "./lazy";
import { rowList } from "./rows";
import { pWords, rate } from "./shortcuts";
import type { PageContext } from "./state";

const TITLE = "Words with which an answer is given too often";

export function overusedView(context: PageContext, payload: DatasetPayload): HTMLElement | null {
  const { overused } = payload;
  if (!overused.length) return null;
  return h(
    "section",
    { class: "part", "data-section": "overused", "aria-label": TITLE },
    h("h2", { tabindex: -1 }, TITLE),
    note(payload.howOverused),
    h("ol", { class: "tests" }, ...overused.map((item) => overusedItem(context, payload, item))),
  );
}

function overusedItem(context: PageContext, payload: DatasetPayload, item: DatasetOverused): HTMLElement {
  const { word, label, rows, answered, labeled, low, high, adjusted, examples } = item;
  return h(
    "li",
    { class: "test" },
    h("div", { class: "test-head" }, h("h3", {}, bdi(word), h("span", { class: "note" }, " → ", bdi(label)))),
    h(
      "div",
      { class: "rates" },
      rate("answered so", answered, rows, "with"),
      rate("labeled so", labeled, rows, "control"),
    ),
    h(
      "p",
      { class: "difference" },
      h("strong", {}, `${points((answered - labeled) / rows)} points`),
      h("span", { class: "note" }, ` 95 % interval ${points(low)} to ${points(high)}`),
      h("span", { class: "note" }, ` · one-sided ${pWords(adjusted)}`),
    ),
    examples.length > 0 &&
      unfolding(`Rows wrongly answered so: ${formatCount(examples.length)} shown`, () =>
        rowList(
          context,
          examples.map((index) => payload.rows[index]),
          { word, command: payload.command },
        ),
      ),
  );
}
