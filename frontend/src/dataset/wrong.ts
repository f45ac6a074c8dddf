/** Wrong answers, the most confident first. */

import type { DatasetPayload } from "../data/payload.generated";
import { h } from "../ui/dom";
import { rowLegend, someRows } from "./rows";
import type { PageContext } from "./state";

const FEW = 5; // rows shown at first

export function wrongView(context: PageContext, payload: DatasetPayload): HTMLElement | null {
  const { wrong, command } = payload;
  if (!wrong.length) return null;
  return h(
    "section",
    { class: "part", "data-section": "wrong", "aria-label": "Wrong answers, most confident first" },
    h("h2", { tabindex: -1 }, "Wrong answers, most confident first"),
    rowLegend(context),
    someRows(
      context,
      wrong.map((index) => payload.rows[index]),
      FEW,
      { command },
    ),
  );
}
