/** Closed rows of a finding, drawn when they are first opened. */

import { h, replace } from "../ui/dom";

export function unfolding(words: string, build: () => HTMLElement): HTMLElement {
  const content = h("div");
  const element = h("details", { class: "unfolding" }, h("summary", {}, words), content);
  element.addEventListener("toggle", () => {
    if (element.open && !content.firstChild) replace(content, build());
  });
  return element;
}
