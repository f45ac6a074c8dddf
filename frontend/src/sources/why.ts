/** What is known of the selected statement, or of the selected source. */

import type { AnswerMapEffect, AnswerMapPayload } from "../data/payload.generated";
import { type Child, h, replace } from "../ui/dom";
import { bar, bdi, button, note, track } from "../ui/parts";
import { goToSource } from "./answer";
import { type PageContext, select } from "./state";
import { likelihood, named, nats, strengthOf } from "./words";

export function whyView(context: PageContext): HTMLElement {
  const { payload, store, theme } = context;
  const content = h("div");
  const element = h("section", { class: "why-part", "aria-label": "Selection", "data-view": "why" }, content);
  const draw = () => {
    const { statement, source } = store.state;
    const parts =
      statement >= 0
        ? statementParts(context, statement, source)
        : source >= 0
          ? sourceParts(context, source)
          : hint(payload);
    replace(content, ...parts);
    element.classList.toggle("chosen", statement >= 0 || source >= 0);
  };
  store.watch(["statement", "source"], draw);
  theme.watch(draw);
  return element;
}

function hint({ statements }: AnswerMapPayload): Child[] {
  if (!statements.length) return [note("The answer has no statement.")];
  return [note("Choose a statement to see what it comes from, or a source to see what comes from it.")];
}

function close({ store }: PageContext): HTMLElement {
  const element = button("×", () => store.set({ statement: -1, source: -1 }), "Clear the selection");
  element.classList.add("close");
  return element;
}

function statementParts(context: PageContext, index: number, chosen: number): Child[] {
  const { payload } = context;
  const { text, verdict, origin, attributed, values, more, effects } = payload.statements[index];
  const isListed = chosen < 0 || attributed.some((each) => each.source === chosen);
  const other: AnswerMapEffect[] = isListed
    ? []
    : [
        {
          source: chosen,
          effect: effects[chosen],
          words: payload.sources[chosen].isEstimate
            ? `about ${likelihood(effects[chosen], payload.isCompared)}: an estimate`
            : likelihood(effects[chosen], payload.isCompared),
          sentence: -1,
          quote: "",
          more: "",
          isMain: false,
        },
      ];
  return [
    close(context),
    h("h3", {}, `Statement ${index + 1}`),
    h("p", { class: "quoted" }, bdi(text)),
    h("p", { class: `verdict is-${origin}`, role: "status", "data-role": "verdict" }, ...named(verdict)),
    h(
      "ol",
      { class: "effects" },
      ...[...attributed, ...other].map((each) => effectLine(context, index, each, !other.includes(each))),
    ),
    values.length > 0 &&
      h(
        "details",
        { class: "numbers" },
        h("summary", {}, "The words that this is judged on, and other effects"),
        h(
          "dl",
          {},
          ...values.map((value) =>
            h(
              "div",
              {},
              h("dt", {}, h("span", { class: `judged is-${value.origin}` }, bdi(value.text))),
              h("dd", {}, value.words),
            ),
          ),
          ...more.map(({ name, value }) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
        ),
      ),
  ];
}

function effectLine(
  context: PageContext,
  statement: number,
  each: AnswerMapEffect,
  isAttributed: boolean,
): HTMLElement {
  const { payload, store } = context;
  const { source, effect, words, quote, more, isMain } = each;
  const go = (event: Event) => {
    store.set({ statement, source });
    goToSource(event.currentTarget as Element, source);
  };
  return h(
    "li",
    { class: isMain ? "main" : "" },
    h(
      "button",
      { type: "button", class: "effect-line", on: { click: go } },
      h("span", { class: "source-name" }, `[${source + 1}] `, bdi(payload.sources[source].name)),
      effectBar(context, effect, payload.sources[source].isEstimate),
      h("strong", { class: "effect-value" }, payload.sources[source].isEstimate ? "≈ " : "", nats(effect)),
    ),
    h(
      "p",
      { class: "note" },
      `${isMain || !isAttributed ? "" : "also changes it: "}${words}${more ? ` · ${more}` : ""}`,
    ),
    quote && h("blockquote", { dir: payload.sources[source].direction }, quote),
  );
}

export function effectBar({ payload, theme }: PageContext, effect: number, isEstimate = false): HTMLElement {
  const strength = strengthOf(effect, payload.scale);
  return track(bar(100 * Math.abs(strength), theme.colors.bar(strength, true, isEstimate)));
}

function sourceParts(context: PageContext, source: number): Child[] {
  const { payload, store } = context;
  const { name, statements, others } = payload.sources[source];
  const line = (index: number) => {
    const { text, effects } = payload.statements[index];
    return h(
      "li",
      {},
      h(
        "button",
        { type: "button", class: "effect-line", on: { click: () => select(store, index, source) } },
        h("span", { class: "source-name" }, `${index + 1}. `, bdi(text)),
        effectBar(context, effects[source]),
        h("strong", { class: "effect-value" }, nats(effects[source])),
      ),
    );
  };
  const words = statements.length ? "Statements that come from it:" : "No statement comes from it.";
  return [
    close(context),
    h("h3", {}, `[${source + 1}] `, bdi(name)),
    h("p", { class: "verdict", role: "status", "data-role": "verdict" }, words),
    h("ol", { class: "effects" }, ...statements.map(line)),
    others.length > 0 && note("It also changes, without being where they come from:"),
    h("ol", { class: "effects" }, ...others.map(line)),
  ];
}
