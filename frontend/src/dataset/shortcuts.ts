/** Words that were tested causally: what inserting them does, beside control words. */

import { points } from "../comparison/state";
import type {
  DatasetCausal,
  DatasetChangedRow,
  DatasetPayload,
  DatasetShortcut,
} from "../data/payload.generated";
import { type Child, h } from "../ui/dom";
import { counted, formatCount, formatNumber, formatPercent } from "../ui/format";
import { bdi, button, note } from "../ui/parts";
import { unfolding } from "./lazy";
import { rowList } from "./rows";
import type { PageContext } from "./state";

const FEW = 6; // candidates shown at first

export function shortcutsView(context: PageContext, payload: DatasetPayload): HTMLElement | null {
  const { shortcuts } = payload;
  if (!shortcuts) return null;
  const title = h("h2", { tabindex: -1 }, "Words that decide an answer by themselves");
  const list = h(
    "ol",
    { class: "tests" },
    ...shortcuts.slice(0, FEW).map((item) => shortcutItem(context, payload, item)),
  );
  const rest = shortcuts.slice(FEW);
  const more = rest.length
    ? button(`Show ${rest.length} more`, () => {
        list.append(...rest.map((item) => shortcutItem(context, payload, item)));
        more?.remove();
      })
    : null;
  return h(
    "section",
    {
      class: "part causal",
      "data-section": "shortcuts",
      "aria-label": "Words that decide an answer by themselves",
    },
    title,
    note(payload.howTested),
    shortcuts.length > 0 && list,
    more && h("p", { class: "more-lines" }, more),
  );
}

/** A word in one line: its rates and their difference; what else is known of it unfolds. */
function shortcutItem(context: PageContext, payload: DatasetPayload, shortcut: DatasetShortcut): HTMLElement {
  const { word, label, inserted, confirmed, changes } = shortcut;
  const more = changes.length
    ? `${formatCount(changes.length)} of the ${counted(inserted.flips, "text")} whose answer it changes, and details`
    : "Details";
  return h(
    "li",
    { class: `test${confirmed ? " confirmed" : ""}` },
    h(
      "div",
      { class: "causal-test" },
      h(
        "div",
        { class: "test-head" },
        h("h3", {}, bdi(word), h("span", { class: "note" }, " → ", bdi(label))),
        h(
          "span",
          { class: `status${confirmed ? " confirmed" : ""}` },
          h("span", { "aria-hidden": "true" }, confirmed ? "✓ " : "– "),
          confirmed ? "decides" : "does not decide",
        ),
      ),
      rates("with the word", inserted),
      h("p", { class: "difference" }, h("strong", {}, `${points(inserted.difference)} points`)),
    ),
    unfolding(more, () => h("div", { class: "test-details" }, ...details(context, payload, shortcut))),
  );
}

function details(context: PageContext, payload: DatasetPayload, shortcut: DatasetShortcut): Child[] {
  const { label, inserted, swapped, controls, misled, changes } = shortcut;
  return [
    note(`Inserted: ${statistics(inserted)}.`),
    swapped && note(`Put in the place of another word: ${statistics(swapped)}.`),
    swapped && rates("in its place", swapped),
    controls.length > 0 && h("p", { class: "note" }, "Control words: ", bdi(controls.join(", "))),
    misled &&
      misled[0] > 0 &&
      h(
        "p",
        { class: "note" },
        `In the data (a correlation): ${formatCount(misled[1])} of ${counted(misled[0], "row")} with the word and another right class are answered `,
        bdi(label),
        ".",
      ),
    changes.length > 0 &&
      rowList(
        context,
        changes.map((change) => payload.rows[change.row]),
        { command: payload.command, more: (index) => changedText(changes[index]) },
      ),
  ];
}

/** The text with the word where it was put, and the new answer. */
function changedText({ before, word, after, answer, probability }: DatasetChangedRow): HTMLElement {
  const text = h("div", { class: "row-text" }, before, h("mark", {}, word), after);
  text.dir = "auto";
  return h(
    "div",
    { class: "changed-text" },
    h(
      "p",
      { class: "row-head" },
      h("span", { class: "note" }, "with ", bdi(word)),
      h("strong", { class: "prediction" }, bdi(answer)),
      h("span", { class: "note" }, formatPercent(probability)),
    ),
    text,
  );
}

function statistics({ difference, low, high, adjusted }: DatasetCausal): string {
  return `${points(difference)} points (95 % interval ${points(low)} to ${points(high)}), one-sided ${pWords(adjusted)}`;
}

function rates(how: string, { trials, flips, controlTrials, controlFlips }: DatasetCausal): HTMLElement {
  return h(
    "div",
    { class: "rates" },
    rate(how, flips, trials, "with"),
    rate("with control words", controlFlips, controlTrials, "control"),
  );
}

/** A share of texts as a bar. */
export function rate(name: string, flips: number, trials: number, style: string): HTMLElement {
  const share = trials ? flips / trials : 0;
  const bar = h("span", { class: `bar ${style}` });
  bar.style.width = `${100 * share}%`;
  const cells: Child[] = [
    h("span", { class: "note" }, name),
    h("span", { class: "track", "aria-hidden": "true" }, bar),
    h("span", { class: "value" }, trials ? formatPercent(share) : "–"),
    h("span", { class: "note" }, `${formatCount(flips)} of ${formatCount(trials)}`),
  ];
  return h("p", { class: "rate" }, ...cells);
}

/** An adjusted p-value in words. */
export function pWords(value: number): string {
  return value < 1e-4 ? "adjusted p\u00a0<\u00a00.0001" : `adjusted p\u00a0=\u00a0${formatNumber(value)}`;
}
