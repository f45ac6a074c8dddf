/** Where the report comes from, what it leaves out, and how to read it. */

import type { Context } from "../context";
import { h } from "../dom";

export function aboutView({ model }: Context, size = ""): HTMLElement {
  const { notes, omitted, provenance } = model.payload;
  const list = (items: readonly string[]) => h("ul", {}, ...items.map((item) => h("li", {}, item)));
  return h(
    "section",
    { class: "card about", "aria-labelledby": "about-title" },
    h("h2", { id: "about-title" }, "How to read this"),
    list(notes),
    omitted.length > 0 && h("h3", {}, "What this page leaves out"),
    omitted.length > 0 && list(omitted),
    h("h3", {}, "Where it comes from"),
    h(
      "dl",
      { class: "provenance" },
      ...provenance.map(({ name, value }) =>
        h("div", {}, h("dt", {}, name), h("dd", {}, h("bdi", {}, value))),
      ),
    ),
    size && h("p", { class: "note", "data-role": "page-size" }, `Size of this page: ${size}.`),
    h("p", { class: "note" }, "Made with model-understanding. Nothing is loaded from anywhere."),
  );
}
