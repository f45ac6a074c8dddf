/** The answer, how far to believe its explanation, and why in one sentence. */

import type { Context } from "../context";
import type { Prediction } from "../data/payload.generated";
import { h, replace } from "../ui/dom";
import { formatNumber, formatPercent } from "../ui/format";
import { bdi, cautionLine } from "../ui/parts";
import { headline, SYMBOLS } from "../words";
import { answerView, givenLine } from "./answer";
import { alternativesView } from "./generation/alternatives";
import { writtenView } from "./generation/written";
import { type ToolbarOptions, toolbar } from "./toolbar";

const MAX_CLASSES = 8;

export function headerView(context: Context, options: ToolbarOptions): HTMLElement {
  const { payload } = context.model;
  return h(
    "header",
    { class: "top-part" },
    toolbar(
      {
        store: context.store,
        theme: context.theme,
        origin: payload.origin,
        find: (text, by) => context.actions.find(text, by),
      },
      options,
    ),
    answer(context),
    trustLine(context),
    whyLine(context),
    alternativesView(context),
    cautionLine(payload.cautions),
  );
}

function answer(context: Context): HTMLElement {
  const { model } = context;
  const { title, prediction, answer: found } = model.payload;
  const written = writtenView(context);
  if (written)
    return h("div", { class: "answer" }, h("h1", { class: "unseen" }, title), prompt(context), written);
  if (found) return answerView(context, found);
  return h("div", { class: "answer" }, h("h1", {}, bdi(title)), prediction && others(prediction));
}

/** The classes that are not in the title, with their probabilities. */
function others({ labels, logits, probabilities, problem }: Prediction): HTMLElement | null {
  if (!probabilities) return null;
  const order = Array.from(labels.keys()).sort((a, b) => logits[b] - logits[a]);
  const rest =
    problem === "multi_label" ? order.filter((index) => probabilities[index] < 0.5) : order.slice(1);
  const more = rest.length - MAX_CLASSES;
  return h(
    "ul",
    { class: "others", "aria-label": "Other classes" },
    ...rest
      .slice(0, MAX_CLASSES)
      .map((index) =>
        h(
          "li",
          { title: `logit ${formatNumber(logits[index])}` },
          bdi(labels[index]),
          ` ${formatPercent(probabilities[index])}`,
        ),
      ),
    more > 0 && h("li", {}, `${more} more`),
  );
}

/** What a language model was given. */
function prompt({ model }: Context): HTMLElement {
  const { generation, payload } = model;
  const table = payload.tables[generation!.table];
  const parts: string[] = [];
  const { units, texts, sources } = table.runs;
  const last = generation!.promptLength;
  const firsts = new Map<number, number>();
  table.groups.token.forEach((unit, token) => {
    if (!firsts.has(unit)) firsts.set(unit, token);
  });
  for (let run = 0; run < texts.length; run++) {
    const token = units[run] < 0 ? -1 : firsts.get(units[run])!;
    if (token >= last) break;
    // Between the messages of a chat stand special tokens.
    parts.push(sources[run] < 0 || (token >= 0 && table.special[token]) ? "\n" : texts[run]);
  }
  const words = parts.join("");
  return givenLine(words.replace(/\s*↵?\s*\n\s*/g, " ").trim());
}

/** The verdict on the map that is shown, and what it rests on. */
function trustLine({ model, store, theme }: Context): HTMLElement | null {
  if (!model.payload.attributions.length) return null;
  const chip = h("strong", { class: "chip" });
  const words = h("span", { class: "trust-words" });
  const draw = () => {
    const reading = model.reading(store.state);
    const verdict = reading?.verdict ?? "not measured";
    replace(chip, h("span", { "aria-hidden": "true" }, SYMBOLS[verdict]), ` ${verdict}`);
    chip.dataset.verdict = verdict;
    words.textContent =
      reading?.words || "Whether these scores say what the model does was not tested for this map.";
    words.title = words.textContent;
  };
  store.watch(["attribution", "target", "targetEnd"], draw);
  theme.watch(draw);
  return h(
    "p",
    { class: "trust-line", role: "status", "aria-label": "Faithfulness of this map" },
    chip,
    words,
  );
}

/** The question that the map answers, and its answer in words of the text. */
function whyLine({ model, store }: Context): HTMLElement | null {
  if (!model.payload.attributions.length) return null;
  const title = h("h2", { id: "saliency-title" });
  const words = h("span", { class: "why-words" });
  store.watch(["attribution", "target", "targetEnd"], (state) => {
    replace(title, bdi(headline(model, state)));
    const pieces = model.reading(state)?.why ?? [];
    replace(words, ...pieces.map((piece, index) => (index % 2 ? h("strong", {}, bdi(piece)) : piece)));
  });
  return h("div", { class: "why" }, title, words);
}
