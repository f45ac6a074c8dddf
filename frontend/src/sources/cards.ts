/** The sources as cards, their sentences in the color of their effect; long ones are folded to what matters. */

import type { AnswerMapPayload, AnswerMapSentence, AnswerMapSource } from "../data/payload.generated";
import { type Child, h, on, replace } from "../ui/dom";
import { counted } from "../ui/format";
import { scaleSwatches } from "../ui/legend";
import { bdi, button, note, numberAt } from "../ui/parts";
import { isEstimate, LIT, litBy, type PageContext, select, sentenceEffect } from "./state";
import { effectBar } from "./why";
import { likelihood, nats, paint } from "./words";

const FEW = 4; // sources up to which all of them are cards
const LEAST = 1; // nats from which on a source changes a statement, as `CITED` of the results

export interface Cards {
  readonly element: HTMLElement;
  /** Unfold a source and return the element of one of its sentences. */
  readonly sentence: (source: number, place: number) => HTMLElement | null;
}

export function cardsView(context: PageContext): Cards {
  const { payload, store, theme, tooltip } = context;
  const cards = payload.sources.map((_, index) => cardOf(context, index));
  const isUsed = (source: AnswerMapSource) => source.statements.length + source.others.length > 0;
  const isFew = payload.sources.length <= FEW;
  const first = cards.filter((_, index) => isFew || isUsed(payload.sources[index]));
  const others = cards.filter((card) => !first.includes(card));
  const none = !payload.sources.some(isUsed);
  const isAnyAgainst = payload.sources.some(
    (source, index) => !isUsed(source) && against(payload, index).length > 0,
  );
  const hasEstimates = payload.sources.some(({ sentences }) =>
    sentences.some(({ row }) => isEstimate(payload, row)),
  );
  const legend = h("p", { class: "legend" });
  const element = h(
    "section",
    { class: "sources-part", "aria-labelledby": "sources-title", "data-view": "sources" },
    h("h2", { id: "sources-title" }, "Sources"),
    none && note("No statement comes from a source."),
    payload.statements.length > 0 && legend,
    ...first.map((card) => card.element),
    others.length > 0 &&
      h(
        "details",
        { class: "other-sources", open: none },
        h(
          "summary",
          {},
          `${counted(others.length, "other source")} with little ${isAnyAgainst ? "or negative " : ""}effect`,
        ),
        ...others.map((card) => card.element),
      ),
  );
  const draw = () => {
    const lit = litBy(payload, store.state);
    replace(
      legend,
      h(
        "span",
        {},
        "Without a sentence, ",
        lit.statement < 0 ? "a statement" : `statement ${lit.statement + 1}`,
        " is",
      ),
      h(
        "span",
        { class: "ends" },
        "likelier",
        scaleSwatches(theme.colors.palette, true, (strength) => payload.reach * strength),
        "less likely",
      ),
      hasEstimates && h("span", { class: "key" }, hatched(context), "estimated, not measured"),
    );
    for (const [index, card] of cards.entries()) card.light(lit.statement, lit.sources.has(index));
  };
  on(element, {
    pointermove: (event) => {
      if (event.pointerType === "touch") return;
      const row = numberAt(event, "row");
      const source = numberAt(event, "card");
      store.set({ overSource: source, overRow: row });
      if (row < 0) return tooltip.hide();
      const { statement } = store.state;
      const { words, effect } = strongest(context, row, statement);
      const isEstimated = isEstimate(payload, row);
      return tooltip.show(
        event,
        `${isEstimated ? "estimated " : ""}effect ${nats(effect)}`,
        [],
        `${words} ${isEstimated ? "about " : ""}${likelihood(effect, payload.isCompared)}${
          isEstimated ? ": an estimate, the sentence was not removed by itself" : ""
        }.`,
      );
    },
    pointerleave: () => {
      store.set({ overSource: -1, overRow: -1 });
      tooltip.hide();
    },
    focusin: (event) => {
      const header = (event.target as Element).closest(".source-head");
      if (header?.matches(":focus-visible")) store.set({ overSource: numberAt(event, "card") });
    },
    focusout: () => store.set({ overSource: -1 }),
  });
  store.watch([...LIT], draw);
  theme.watch(draw);
  return { element, sentence: (source, place) => cards[source].sentence(place) };
}

function strongest({ payload }: PageContext, row: number, statement: number) {
  const index =
    statement >= 0
      ? statement
      : payload.statements.reduce(
          (best, each, at) => (each.sentences[row] > payload.statements[best].sentences[row] ? at : best),
          0,
        );
  return {
    words: `Statement ${index + 1} is`,
    effect: payload.statements.length ? payload.statements[index].sentences[row] : 0,
  };
}

function cardOf(context: PageContext, index: number) {
  const { payload, store, theme } = context;
  const source = payload.sources[index];
  let whole = false;
  let drawn: { element: HTMLElement; place: number }[] = [];
  const text = h("div", { class: "text source-text", dir: source.direction });
  const value = h("span", { class: "card-effect" });
  const title = source.sentences.findIndex((each) => each.isTitle);
  const name = h("span", { class: "source-name" }, bdi(source.name));
  const head = h(
    "button",
    {
      type: "button",
      class: "source-head",
      "aria-pressed": "false",
      on: { click: () => select(store, -1, index) },
    },
    h("span", { class: "number" }, `[${index + 1}]`),
    name,
    value,
  );
  const element = h(
    "article",
    { class: "source-card", "data-card": index },
    head,
    text,
    source.hint && note(source.hint),
  );

  const build = () => {
    drawn = [];
    const parts: Child[] = [];
    let folded: number[] = [];
    const fold = () => {
      if (!folded.length) return;
      const count = folded.length;
      parts.push(
        h(
          "span",
          { class: "fold" },
          button(
            `… ${counted(count, "sentence")} …`,
            () => unfold(),
            `Show ${counted(count, "more sentence")}`,
          ),
        ),
      );
      folded = [];
    };
    source.sentences.forEach((sentence, place) => {
      if (place === title) return;
      if (!whole && !sentence.isKept) {
        folded.push(place);
        return;
      }
      fold();
      const [, before, words, after] = /^(\s*)([\s\S]*?)(\s*)$/.exec(sentence.text)!;
      const row = sentence.row < 0 ? undefined : sentence.row;
      const span = h("span", { class: "token sentence", "data-row": row }, words);
      drawn.push({ element: span, place });
      parts.push(before, span, after);
    });
    fold();
    replace(text, ...parts);
    paintSentences();
  };
  const unfold = () => {
    whole = true;
    build();
  };
  let statement = -1;
  const paintBy = (span: HTMLElement, { row }: AnswerMapSentence) => {
    paint(span, theme.colors, sentenceEffect(payload, row, statement), payload, isEstimate(payload, row));
  };
  const paintSentences = () => {
    for (const { element: span, place } of drawn) {
      paintBy(span, source.sentences[place]);
    }
    if (title >= 0) paintBy(name, source.sentences[title]);
  };
  const light = (of: number, isLit: boolean) => {
    statement = of;
    element.classList.toggle("lit", isLit);
    const isSelected = store.state.source === index;
    head.setAttribute("aria-pressed", String(isSelected));
    if (of >= 0) {
      const effect = payload.statements[of].effects[index];
      replace(
        value,
        effectBar(context, effect, source.isEstimate),
        h("strong", {}, source.isEstimate ? "≈ " : "", nats(effect)),
      );
    } else {
      replace(value, h("span", { class: "note" }, roleOf(payload, index)));
    }
    paintSentences();
  };
  build();
  return {
    element,
    light,
    sentence: (place: number): HTMLElement | null => {
      if (place === title) return name;
      if (!drawn.some((each) => each.place === place)) unfold();
      return drawn.find((each) => each.place === place)?.element ?? null;
    },
  };
}

/** The mark of an estimate in the legend. */
function hatched({ payload, theme }: PageContext): HTMLElement {
  const element = h("i", { class: "swatch" });
  paint(element, theme.colors, payload.scale, payload, true);
  return element;
}

/** What a source does, in words: `statement 2, also changes statement 3`. */
export function roleOf(payload: AnswerMapPayload, index: number): string {
  const { statements, others } = payload.sources[index];
  const named = (indices: readonly number[]) =>
    `statement${indices.length > 1 ? "s" : ""} ${listed(indices.map((each) => each + 1))}`;
  const words = [
    statements.length > 0 && named(statements),
    others.length > 0 && `${statements.length ? "also " : ""}changes ${named(others)}`,
  ];
  const role = words.filter(Boolean).join(", ");
  if (role) return role;
  const likelier = against(payload, index);
  return likelier.length ? `negative effect on ${named(likelier)}` : "little effect";
}

/** The statements that are clearly likelier without a source. */
function against({ statements }: AnswerMapPayload, source: number): number[] {
  return statements.flatMap(({ effects }, index) => (effects[source] <= -LEAST ? [index] : []));
}

/** Numbers as ranges: `1–3, 5`. */
export function listed(numbers: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else runs.push([number, number]);
  }
  return runs
    .map(([from, to]) => (from === to ? `${from}` : to === from + 1 ? `${from}, ${to}` : `${from}–${to}`))
    .join(", ");
}
