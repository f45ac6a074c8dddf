/** Wrong answers, the most confident first. */

import type { DatasetPayload } from "../data/payload.generated";
import { h } from "../ui/dom";
import { button } from "../ui/parts";
import { rowLegend, rowList } from "./rows";
import type { PageContext } from "./state";

const FEW = 10; // rows shown at first

export function wrongView(context: PageContext, payload: DatasetPayload): HTMLElement | null {
  const { wrong, command } = payload;
  if (!wrong.length) return null;
  const list = (from: number, to?: number) =>
    rowList(
      context,
      wrong.slice(from, to).map((index) => payload.rows[index]),
      { command },
    );
  const first = list(0, FEW);
  const more = button(`Show ${wrong.length - FEW} more`, () => {
    first.append(...list(FEW).children);
    more.remove();
  });
  return h(
    "section",
    { class: "part", "data-section": "wrong", "aria-label": "Wrong answers, most confident first" },
    h("h2", { tabindex: -1 }, "Wrong answers, most confident first"),
    rowLegend(context),
    first,
    wrong.length > FEW && h("p", { class: "more-lines" }, more),
  );
}
