/** What the numbers mean, the prompt, and how to read the page. */

import type { AnswerMapPayload } from "../data/payload.generated";
import { type Child, h } from "../ui/dom";
import { bdi, list, note } from "../ui/parts";

export function numbersView({ numbers }: AnswerMapPayload): Child[] {
  return [h("div", { class: "about" }, list(numbers))];
}

export function promptView({ prompt, layout, missing }: AnswerMapPayload): Child[] {
  return [
    note("Sources in the prompt: ", bdi(layout), "."),
    missing.length > 0 && note("Not in the prompt: ", bdi(missing.join(", ")), "."),
    h("pre", { class: "prompt-text", tabindex: 0, "aria-label": "Prompt", dir: "auto" }, prompt),
  ];
}

export function aboutView({ howToRead, provenance }: AnswerMapPayload, size = ""): Child[] {
  return [
    h(
      "div",
      { class: "about" },
      list(howToRead),
      h("h3", {}, "Provenance"),
      h(
        "dl",
        { class: "provenance" },
        ...provenance.map(({ name, value }) => h("div", {}, h("dt", {}, name), h("dd", {}, bdi(value)))),
      ),
      size && h("p", { class: "note", "data-role": "page-size" }, `Page size: ${size}.`),
      note("Made with model-understanding. This page loads nothing from the network."),
    ),
  ];
}
