/** What changed in the answer, why, and how far to believe each side. */

import type { ComparedAnswer } from "../data/payload.generated";
import { h, replace } from "../ui/dom";
import { bdi, note } from "../ui/parts";
import { SYMBOLS } from "../words";
import { type ComparisonContext, SIDES, type Side, shownOf } from "./state";

export function headline({ payload }: ComparisonContext): HTMLElement {
  const [first, second] = payload.answers;
  const isLong = first.isText || second.isText;
  return h(
    "h1",
    { class: `change${isLong ? " written" : ""}` },
    answer(first),
    h(
      "span",
      { class: "arrow" },
      h("span", { "aria-hidden": "true" }, "→"),
      h("span", { class: "unseen" }, " becomes "),
    ),
    answer(second),
  );
}

function answer({ title, value, isText }: ComparedAnswer): HTMLElement {
  return isText
    ? h("span", { class: "answer-text" }, bdi(title))
    : h("span", {}, bdi(title), value && ` ${value}`);
}

/** The sentence on what changed together with the answer. */
export function why({ payload, store }: ComparisonContext): HTMLElement {
  const words = h("p", { class: "why-words", role: "status" });
  store.watch(["attribution", "level", "target"], (state) => {
    const pieces = shownOf(payload, state)?.target.why ?? [];
    replace(words, ...pieces.map((piece, index) => (index % 2 ? h("strong", {}, bdi(piece)) : piece)));
  });
  return words;
}

/** Which report a text is of, and the verdict on its map. */
export function sideTitle({ payload, store }: ComparisonContext, side: Side): HTMLElement {
  const { name, title, value, isText, modelName } = payload.answers[side];
  const chip = h("strong", { class: "chip" });
  const other = payload.answers[1 - side].modelName;
  store.watch(["attribution", "level", "target"], (state) => {
    const trust = shownOf(payload, state)?.target.trust[side];
    chip.hidden = !trust;
    if (!trust) return;
    replace(chip, h("span", { "aria-hidden": "true" }, SYMBOLS[trust.verdict]), ` ${trust.verdict}`);
    chip.dataset.verdict = trust.verdict;
    chip.title = trust.words || "Whether these scores say what the model does was not tested for this map.";
  });
  return h(
    "h2",
    { class: "side" },
    h("span", { class: "unseen" }, `${SIDES[side]} text: `),
    bdi(name),
    !isText && h("span", { class: "note" }, bdi(`${title} ${value}`)),
    modelName !== other && h("span", { class: "note" }, bdi(modelName)),
    chip,
  );
}

export function inputs({ payload }: ComparisonContext): HTMLElement {
  return note(payload.inputs);
}
