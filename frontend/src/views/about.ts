/** How to read the report, what it omits, and its provenance. */

import type { Context } from "../context";
import { h } from "../ui/dom";
import { bdi, list, note } from "../ui/parts";

export function aboutView({ model }: Context, size = ""): HTMLElement {
  const { notes, omitted, provenance } = model.payload;
  return h(
    "div",
    { class: "about" },
    list(notes),
    omitted.length > 0 && h("h3", {}, "Omitted from this page"),
    omitted.length > 0 && list(omitted),
    h("h3", {}, "Provenance"),
    h(
      "dl",
      { class: "provenance" },
      ...provenance.map(({ name, value }) => h("div", {}, h("dt", {}, name), h("dd", {}, bdi(value)))),
    ),
    size && h("p", { class: "note", "data-role": "page-size" }, `Page size: ${size}.`),
    note("Made with model-understanding. This page loads nothing from the network."),
  );
}
