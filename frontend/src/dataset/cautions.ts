/** What a reader must be warned of. */

import { h } from "../ui/dom";
import { bdi } from "../ui/parts";

export function cautionsView(cautions: readonly string[]): HTMLElement | null {
  if (!cautions.length) return null;
  return h(
    "div",
    { class: "caution notes", role: "note" },
    ...cautions.map((words) => h("p", {}, bdi(words))),
  );
}
