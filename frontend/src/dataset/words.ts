/** The words and phrases of each answer: an ordered table, and the rows of the selected word. */

import { signed as withSign } from "../comparison/state";
import type { DatasetAnswer, DatasetPayload, DatasetShortcut, DatasetWords } from "../data/payload.generated";
import { csv } from "../export/csv";
import { type Child, h, picker, replace, segmented } from "../ui/dom";
import { counted, formatCount, formatNumber, formatPercent } from "../ui/format";
import { bdi, button, note } from "../ui/parts";
import { listedView } from "./listed";
import { aligned, domainOf, rangeBar } from "./range";
import { rowLegend, someRows } from "./rows";
import { goTo, type PageContext, type PageState } from "./state";
import type { Column } from "./table";

const FEW = 3; // rows of a word shown at first
const MOST_BUTTONS = 4; // answers that have a button each; more are a list

export function wordsView(context: PageContext, payload: DatasetPayload, signal: AbortSignal): HTMLElement {
  const { store } = context;
  const { answers } = payload;
  const intro = note();
  const { controls, element } = listedView(
    context,
    ({ answer: index, kind }) => {
      const answer = answers[index];
      const shown = answer?.[kind] ?? EMPTY;
      return {
        words: shown.words,
        nameOf: (line) => shown.words[line],
        columns: columnsOf(context, shown, kind, answer?.label ?? null),
        detail: (line) => detailOf(context, payload, answer, shown, line),
        nothing: `No ${kind === "words" ? "word" : "phrase"} stands out: rows with this answer are few, or their words differ.`,
        csv: () => wordsCsv(answer, shown),
      };
    },
    signal,
  );
  const kinds = segmented<PageState["kind"]>(
    "Words or phrases",
    [
      { value: "words", label: "Words" },
      {
        value: "phrases",
        label: "Phrases",
        tip: "two or three words whose effect is not that of one of them",
      },
    ],
    (value) => store.set({ kind: value, word: "" }),
  );
  store.watch(["kind"], ({ kind }) => kinds.show(kind));
  store.watch(["answer", "kind"], ({ answer, kind }) =>
    replace(intro, ...introduction(payload, answers[answer], kind)),
  );
  const hasPhrases = answers.some(({ phrases }) => phrases.words.length);
  return h(
    "section",
    { class: "part", "data-section": "words", "aria-label": "Words" },
    h(
      "div",
      { class: "card-head" },
      h("h2", { tabindex: -1 }, "Words"),
      h(
        "div",
        { class: "controls" },
        answerChoice(context, payload),
        hasPhrases && kinds.element,
        ...controls,
      ),
    ),
    intro,
    element,
  );
}

const EMPTY: DatasetWords = {
  words: [],
  effects: [],
  lows: [],
  highs: [],
  spreads: [],
  counts: [],
  rows: [],
  shares: [],
  precisions: [],
  answerShares: [],
  examples: [],
};

function answerChoice({ store }: PageContext, { answers }: DatasetPayload): HTMLElement | null {
  if (answers.length < 2) return null;
  const choose = (answer: number) => store.set({ answer, word: "" });
  const name = ({ label, rows }: DatasetAnswer) => `${label ?? "text"} (${formatCount(rows)})`;
  if (answers.length > MOST_BUTTONS) {
    const list = picker("Answer", answers.map(name), choose);
    store.watch(["answer"], (state) => list.show(state.answer));
    return list.element;
  }
  const row = segmented<string>(
    "Answer",
    answers.map((answer, index) => ({ value: String(index), label: name(answer) })),
    (value) => choose(Number(value)),
  );
  store.watch(["answer"], (state) => row.show(String(state.answer)));
  return row.element;
}

function introduction(
  { measure }: DatasetPayload,
  answer: DatasetAnswer | undefined,
  kind: PageState["kind"],
): (Node | string)[] {
  if (!answer) return ["No row was explained, so there are no words."];
  const which = kind === "words" ? "Words" : "Phrases of two or three words";
  const meant =
    measure === "effect"
      ? "with their mean effect on that answer"
      : "with their mean importance for that answer, which has no sign";
  return answer.label === null
    ? [
        `${which} in what the model was given, ${meant.replace("that answer", "what it writes")}. A correlation, not a cause.`,
      ]
    : [
        `${which} in the ${counted(answer.rows, "row")} answered `,
        bdi(answer.label),
        `, ${meant}. A correlation, not a cause.`,
      ];
}

function columnsOf(
  { theme, signed, measure }: PageContext,
  shown: DatasetWords,
  kind: PageState["kind"],
  label: string | null,
): Column[] {
  const { colors } = theme;
  const named = label !== null && label.length <= 12 ? label : "so";
  const domain = domainOf(shown.effects, shown.lows, shown.highs);
  const written = aligned([...shown.effects, ...shown.spreads]);
  const number = (value: number) => (signed ? withSign(written(value), value) : written(value));
  const hasAnswerShare = shown.answerShares.some((value) => value !== null);
  const shareOf = (value: number | null) => (value === null ? "–" : formatPercent(value));
  const hasPrecision = shown.precisions.some((value) => value !== null);
  const columns: (Column | false)[] = [
    {
      key: "word",
      name: kind === "words" ? "word" : "phrase",
      style: "name",
      value: (line) => shown.words[line],
      cell: () => null,
    },
    {
      key: "effect",
      name: measure,
      tip: `Mean score with its 95 % interval${signed ? "; below 0 it opposes the answer" : ""}`,
      style: "effect",
      value: (line) => shown.effects[line],
      cell: (line) => {
        const [value, low, high] = [shown.effects[line], shown.lows[line], shown.highs[line]];
        const element = h(
          "span",
          { class: "value-and-range" },
          h("span", { class: "value" }, number(value)),
          rangeBar(value, low, high, domain, colors.bar(value, signed, false)),
        );
        element.title = `95 % interval: ${formatNumber(low)} to ${formatNumber(high)}`;
        return element;
      },
    },
    {
      key: "count",
      name: "count",
      tip: "Occurrences",
      style: "number second",
      value: (line) => shown.counts[line],
      cell: (line) => formatCount(shown.counts[line]),
    },
    {
      key: "share",
      name: "rows",
      tip: "Rows with it, as a share of the rows with this answer",
      style: "number",
      value: (line) => shown.shares[line],
      cell: (line) => formatPercent(shown.shares[line]),
    },
    {
      key: "spread",
      name: "spread",
      tip: "Standard deviation over occurrences: how much it depends on the words around it",
      style: "number second",
      value: (line) => shown.spreads[line],
      cell: (line) => written(shown.spreads[line]),
    },
    hasAnswerShare && {
      key: "answer",
      name: `answered ${named}`,
      tip: "Of all rows with it, the share that has this answer",
      style: "number share second",
      value: (line) => shown.answerShares[line],
      cell: (line) => shareOf(shown.answerShares[line]),
    },
    hasPrecision && {
      key: "precision",
      name: `labeled ${named}`,
      tip: "Label precision: of all labeled rows with it, the share whose right class is this answer",
      style: "number share",
      value: (line) => shown.precisions[line],
      cell: (line) => shareOf(shown.precisions[line]),
    },
  ];
  return columns.filter((column) => column !== false);
}

/** What is known of the selected word, and its rows. */
function detailOf(
  context: PageContext,
  payload: DatasetPayload,
  answer: DatasetAnswer,
  shown: DatasetWords,
  line: number,
): Child[] {
  const word = shown.words[line];
  const rows = shown.examples[line].map((index) => payload.rows[index]);
  const precision = shown.precisions[line];
  const tested = payload.shortcuts?.find(
    (shortcut) => shortcut.word === word && shortcut.label === answer.label,
  );
  const numbers = `${formatNumber(shown.effects[line])} (95 % interval ${formatNumber(shown.lows[line])} to ${formatNumber(shown.highs[line])})`;
  return [
    h(
      "h3",
      { class: "detail-title" },
      bdi(word),
      answer.label !== null && h("span", { class: "note" }, " in rows answered ", bdi(answer.label)),
    ),
    h(
      "p",
      { class: "detail-facts" },
      `${counted(shown.counts[line], "occurrence")} in ${counted(shown.rows[line], "row")} (${formatPercent(shown.shares[line])}). `,
      `Mean ${payload.measure} ${numbers}, spread ${formatNumber(shown.spreads[line])}. `,
      precision !== null &&
        answer.label !== null &&
        `Of all labeled rows with it, ${formatPercent(precision)} are `,
      precision !== null && answer.label !== null && bdi(answer.label),
      precision !== null && ".",
    ),
    tested ? testedToo(tested) : null,
    rows.length > 0 && rowLegend(context),
    rows.length > 0
      ? someRows(context, rows, FEW, { word, command: payload.command })
      : note("Its rows are not on this page."),
  ];
}

/** That a word was also tested causally, and where; the two findings are never mixed. */
function testedToo({ confirmed }: DatasetShortcut): HTMLElement {
  const link = button("Show the test", () => goTo(link, "shortcuts"));
  const outcome = confirmed ? "it decides" : "it does not decide";
  return note(`This word was also inserted into other texts: ${outcome} their answer by itself. `, link);
}

function wordsCsv(answer: DatasetAnswer, shown: DatasetWords): string {
  const names = [
    "word",
    "answer",
    "effect",
    "low",
    "high",
    "spread",
    "count",
    "rows",
    "share",
    "answer_share",
    "label_precision",
  ];
  return csv(
    names,
    shown.words.map((word, line) => [
      word,
      answer.label,
      shown.effects[line],
      shown.lows[line],
      shown.highs[line],
      shown.spreads[line],
      shown.counts[line],
      shown.rows[line],
      shown.shares[line],
      shown.answerShares[line],
      shown.precisions[line],
    ]),
  );
}
