/** The answer: its words in the color of their effect, its statements with marks. */

import { clamp } from "../data/clamp";
import type { AnswerMapRun } from "../data/payload.generated";
import { h, on, replace } from "../ui/dom";
import { scaleSwatches } from "../ui/legend";
import { bdi, note, numberAt } from "../ui/parts";
import { LIT, litBy, type PageContext, select } from "./state";
import { likelihood, nats, paint } from "./words";

const SYMBOLS: Record<string, string> = { nothing: "∅ ", unclear: "? ", answer: "↩ ", question: "" };

export function answerView(context: PageContext): HTMLElement {
  const { payload, store, theme, tooltip } = context;
  const words: { element: HTMLElement; word: number }[] = [];
  const statements: HTMLElement[] = [];
  const element = h("div", {
    class: "text said",
    dir: payload.direction,
    role: "group",
    "aria-label": "Answer",
    "data-view": "answer",
  });
  const piece = ({ text, word, origin, isPill }: AnswerMapRun) => {
    const style = `${isPill ? "pill" : word < 0 ? "between" : "token"}${origin ? ` judged is-${origin}` : ""}`;
    const span = h("span", { class: style, "data-word": word < 0 ? undefined : word }, text);
    if (word >= 0 && !isPill) words.push({ element: span, word });
    return span;
  };
  const markOf = (index: number) => {
    const { origin, mark, sources } = payload.statements[index];
    const marks = sources.map((source) =>
      h("button", { type: "button", class: "cite", tabindex: -1, "data-source": source }, `[${source + 1}]`),
    );
    if (!marks.length)
      return [h("span", { class: `verdict-chip is-${origin}` }, `${SYMBOLS[origin] ?? ""}${mark}`)];
    return marks;
  };
  for (let at = 0; at < payload.runs.length; ) {
    const { statement } = payload.runs[at];
    const end = payload.runs.findIndex((run, index) => index >= at && run.statement !== statement);
    const runs = payload.runs.slice(at, end < 0 ? undefined : end);
    at += runs.length;
    if (statement < 0) {
      element.append(...runs.map(piece));
      continue;
    }
    const span = h(
      "span",
      {
        class: `statement is-${payload.statements[statement].origin}`,
        role: "button",
        tabindex: statements.length ? -1 : 0,
        "aria-pressed": "false",
        "data-statement": statement,
      },
      ...runs.map(piece),
    );
    statements.push(span);
    element.append(span, h("span", { class: "marks" }, ...markOf(statement)));
  }

  const hasJudged = payload.runs.some((run) => run.origin);
  const legend = h("p", { class: "legend" });
  let chosen = -1; // the statement that was clicked: its words have no tooltip until the pointer leaves it
  const draw = () => {
    const lit = litBy(payload, store.state);
    const { colors } = theme;
    for (const { element: word, word: index } of words) paint(word, colors, lit.words[index], payload);
    for (const statement of statements) {
      const index = Number(statement.dataset.statement);
      statement.classList.toggle("lit", lit.statements.has(index));
      statement.setAttribute("aria-pressed", String(store.state.statement === index));
      if (store.state.statement === index) follow(statement);
    }
    for (const cite of element.querySelectorAll<HTMLElement>(".cite"))
      cite.classList.toggle("lit", lit.sources.has(Number(cite.dataset.source)));
    const { source } = lit;
    const what = payload.words.sentences[store.state.overRow]
      ? ["this sentence"]
      : source < 0
        ? ["the sources"]
        : [bdi(`[${source + 1}] ${payload.sources[source].name}`)];
    if (source >= 0 && payload.sources[source].isEstimate)
      return replace(legend, h("span", {}, "The effect of ", ...what, " on single words was not measured."));
    return replace(
      legend,
      h("span", {}, "Without ", ...what, ", a word is"),
      h(
        "span",
        { class: "ends" },
        "likelier",
        scaleSwatches(colors.palette, true, (strength) => payload.reach * strength),
        "less likely",
      ),
      hasJudged && h("span", {}, h("b", {}, "bold"), ": what a statement is judged on"),
    );
  };
  /** Only one statement is a tab stop; arrow keys move between them. */
  const follow = (current: HTMLElement) => {
    for (const statement of statements) statement.tabIndex = statement === current ? 0 : -1;
  };
  on(element, {
    pointermove: (event) => {
      if (event.pointerType === "touch") return;
      const cite = numberAt(event, "source");
      if (cite >= 0) {
        tooltip.hide();
        return store.set({ overSource: cite, overStatement: -1 });
      }
      const word = numberAt(event, "word");
      const over = numberAt(event, "statement");
      store.set({ overStatement: over, overSource: -1 });
      if (over !== chosen) chosen = -1;
      if (word < 0 || chosen >= 0) return tooltip.hide();
      const all = payload.words.all[word];
      const sources = payload.words.sources.map((effects, source) => ({ source, effect: effects[word] }));
      const [most] = sources.sort((a, b) => b.effect - a.effect);
      const name = most && most.effect >= 0.5 ? payload.sources[most.source].name : "";
      return tooltip.show(
        event,
        (event.target as Element).closest("[data-word]")?.textContent ?? "",
        [
          ["all sources hidden", `${nats(all)} nats`],
          ...(name ? [[`[${most.source + 1}] ${name}`, `${nats(most.effect)} nats`] as const] : []),
        ],
        likelihood(all, payload.isCompared).replace("without it", "without any source"),
      );
    },
    pointerleave: () => {
      store.set({ overStatement: -1, overSource: -1 });
      chosen = -1;
      tooltip.hide();
    },
    focusin: (event) => {
      const statement = (event.target as Element).closest<HTMLElement>(".statement");
      if (!statement?.matches(":focus-visible")) return;
      follow(statement);
      store.set({ overStatement: Number(statement.dataset.statement) });
    },
    focusout: () => store.set({ overStatement: -1 }),
    click: (event) => {
      const source = numberAt(event, "source");
      if (source >= 0) {
        store.set({ source, statement: -1 });
        return goToSource(element, source);
      }
      const statement = numberAt(event, "statement");
      if (statement < 0 || String(getSelection() ?? "") !== "") return;
      chosen = statement;
      tooltip.hide();
      select(store, statement, -1);
    },
    keydown: (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const at = statements.indexOf(event.target as HTMLElement);
      if (at < 0) return;
      if (event.key === "Enter" || event.key === " ") {
        select(store, Number(statements[at].dataset.statement), -1);
      } else {
        const isReversed = payload.direction === "rtl";
        const steps: Record<string, number> = {
          ArrowRight: at + (isReversed ? -1 : 1),
          ArrowLeft: at + (isReversed ? 1 : -1),
          ArrowDown: at + 1,
          ArrowUp: at - 1,
          Home: 0,
          End: statements.length - 1,
        };
        const next = steps[event.key];
        if (next === undefined) return;
        statements[clamp(next, 0, statements.length - 1)].focus();
      }
      event.preventDefault();
      event.stopPropagation();
    },
  });
  store.watch([...LIT], draw);
  theme.watch(draw);
  return h(
    "section",
    { class: "answer-part", "aria-labelledby": "answer-title" },
    h("h2", { id: "answer-title" }, "Answer"),
    element,
    legend,
    payload.unfounded ? note(bdi(payload.unfounded)) : null,
  );
}

/** Bring a source into view. */
export function goToSource(from: Element, source: number): void {
  const root = from.getRootNode() as ShadowRoot;
  const card = root.querySelector<HTMLElement>(`.source-card[data-card="${source}"]`);
  const folded = card?.closest("details");
  if (folded) folded.open = true;
  const smooth = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  card?.scrollIntoView({ block: "nearest", behavior: smooth ? "smooth" : "auto" });
}
