/** Histograms of lengths, scores and confidence. */

import type { DatasetHistogram, DatasetPayload } from "../data/payload.generated";
import { h, on } from "../ui/dom";
import { counted, formatCount, formatNumber } from "../ui/format";
import { numberAt } from "../ui/parts";
import type { PageContext } from "./state";

export function distributionsView(
  context: PageContext,
  { distributions }: DatasetPayload,
): HTMLElement | null {
  const shown = distributions.filter(({ counts }) => counts.some(Boolean));
  if (!shown.length) return null;
  return h(
    "section",
    { class: "part", "data-section": "distributions", "aria-label": "Distributions" },
    h("h2", { tabindex: -1 }, "Distributions"),
    h("div", { class: "histograms" }, ...shown.map((one) => histogram(context, one))),
  );
}

function histogram({ tooltip }: PageContext, { name, edges, counts }: DatasetHistogram): HTMLElement {
  const most = Math.max(...counts);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const bars = counts.map((count, bin) => {
    const bar = h("span", { class: "bin", "data-bin": bin }, h("span", { class: "column" }));
    (bar.firstChild as HTMLElement).style.height = count ? `max(1px, ${(100 * count) / most}%)` : "0";
    return bar;
  });
  const peak = counts.indexOf(most);
  const picture = h(
    "div",
    {
      class: "histogram",
      role: "img",
      "aria-label": `${name}: ${counted(total, "row")} from ${edgeWords(edges[0])} to ${edgeWords(edges.at(-1)!)}, most between ${edgeWords(edges[peak])} and ${edgeWords(edges[peak + 1])}`,
    },
    ...bars,
  );
  on(picture, {
    pointermove: (event) => {
      const bin = numberAt(event, "bin");
      if (bin < 0) return tooltip.hide();
      return tooltip.show(event, `${edgeWords(edges[bin])} to ${edgeWords(edges[bin + 1])}`, [
        ["rows", formatCount(counts[bin])],
      ]);
    },
    pointerleave: () => tooltip.hide(),
  });
  return h(
    "figure",
    {},
    h("figcaption", {}, name),
    picture,
    h(
      "div",
      { class: "ends", "aria-hidden": "true" },
      h("span", {}, edgeWords(edges[0])),
      h("span", {}, edgeWords(edges.at(-1)!)),
    ),
  );
}

function edgeWords(edge: number): string {
  return Number.isInteger(edge) ? formatCount(edge).replace("-", "−") : formatNumber(edge);
}
