/** The first lines of a data set's page: the sentence that says most, what else matters, the numbers. */

import type { DatasetTopic, Figure } from "../data/payload.generated";
import { h } from "../ui/dom";
import { bdi } from "../ui/parts";
import { toolbar } from "../views/toolbar";
import { goTo, type PageContext } from "./state";

interface Top {
  readonly origin: string;
  readonly headline: string;
  readonly topics: readonly DatasetTopic[];
}

export function headerView(
  { store, theme }: PageContext,
  { origin, headline, topics }: Top,
  help: () => void,
): HTMLElement {
  return h(
    "header",
    { class: "top-part" },
    toolbar({ store, theme, origin }, { help, save: null }),
    h("h1", {}, bdi(headline)),
    h("dl", { class: "topics" }, ...topics.map(topicItem)),
  );
}

function topicItem({ name, findings }: DatasetTopic): HTMLElement {
  const sentences = findings.map((finding) =>
    h(
      "p",
      { class: "finding" },
      ...finding.map((piece, index) => (index % 2 ? h("strong", {}, bdi(piece)) : piece)),
    ),
  );
  return h("div", {}, h("dt", {}, name), h("dd", {}, ...sentences));
}

/** Numbers, each a way to the section that has more of it. */
export function figuresView(figures: readonly Figure[]): HTMLElement {
  return h("ul", { class: "figures" }, ...figures.map(figureItem));
}

function figureItem({ name, value, detail, section }: Figure): HTMLElement {
  const content = [
    h("span", { class: "figure-name" }, name),
    h("strong", { class: "figure-value" }, bdi(value)),
    detail ? h("span", { class: "figure-detail" }, bdi(detail)) : null,
  ];
  if (!section) return h("li", {}, h("div", { class: "figure" }, ...content));
  const face = h(
    "button",
    { type: "button", class: "figure", on: { click: () => goTo(face, section) } },
    ...content,
  );
  return h("li", {}, face);
}
