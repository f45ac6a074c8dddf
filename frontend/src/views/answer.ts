/** What the model answers and what else it could: entities, spans, tokens for masks, choices; each opens its map. */

import type { Context } from "../context";
import type { Answer, AnswerRow } from "../data/payload.generated";
import { type Child, h } from "../ui/dom";
import { counted } from "../ui/format";
import { bdi, note } from "../ui/parts";
import { roving } from "../ui/roving";

const MANY = 15; // rows above which they are set smaller
const LONG = 34; // characters of a label above which the rows are a list

export function answerView(context: Context, answer: Answer): HTMLElement {
  const { model, store } = context;
  const [what] = answer.columns;
  const title = [answer.title, answer.value].filter(Boolean).join(" ");
  const isList = what === "document" || answer.rows.some(({ label }) => label.length > LONG);
  const buttons: { element: HTMLElement; opens: number }[] = [];
  const element = h("div", {
    class: `answers ${isList ? "listed" : "inline"}${answer.rows.length > MANY ? " many" : ""}`,
    role: "toolbar",
    "aria-label": `The answer: each ${what} opens its map`,
  });
  let group = "";
  for (const row of answer.rows) {
    if (row.group && row.group !== group) element.append(h("span", { class: "group" }, row.group));
    group = row.group;
    const one = rowElement(context, row, what);
    element.append(one);
    if (row.opens >= 0) buttons.push({ element: one, opens: row.opens });
  }
  const { follow } = roving(element);
  store.watch(["attribution", "target", "targetEnd"], (state) => {
    const shown = model.reading(state);
    const index = shown ? model.payload.readings.indexOf(shown) : -1;
    const pressed = buttons.find(({ opens }) => opens === index);
    for (const { element: one, opens } of buttons) one.setAttribute("aria-pressed", String(opens === index));
    follow(pressed?.element);
  });
  // Marks say where entities and spans are: only what has none is written out.
  const given = answer.marks.length ? [] : answer.texts.map((words) => givenLine(words));
  return h(
    "div",
    { class: "answer" },
    h("h1", { class: "unseen" }, bdi(title)),
    ...given,
    !answer.rows.length && h("p", { class: "answers inline" }, h("span", { class: "row predicted" }, title)),
    answer.facts && note(answer.facts),
    element,
    answer.omitted > 0 && note(`and ${counted(answer.omitted, `more ${what}`)}`),
  );
}

function rowElement({ model, actions }: Context, row: AnswerRow, what: string): HTMLElement {
  const parts: Child[] = [
    h("span", { class: "label" }, bdi(row.label)),
    row.tag && h("span", { class: "tag" }, bdi(row.tag)),
    h("span", { class: "value" }, row.value),
  ];
  const style = `row${row.predicted ? " predicted" : ""}`;
  const reading = model.payload.readings[row.opens];
  const element = reading
    ? h(
        "button",
        {
          type: "button",
          class: style,
          "aria-pressed": "false",
          title: reading.title,
          on: { click: () => actions.open(row.opens) },
        },
        ...parts,
      )
    : h("span", { class: style, title: `This ${what} has no map in this report` }, ...parts);
  if (row.share !== null) element.style.setProperty("--share", `${Math.max(100 * row.share, 1)}%`);
  element.classList.toggle("measured", row.share !== null);
  return element;
}

/** What a model was given, on one line until it is clicked. */
export function givenLine(words: string): HTMLElement {
  const element = h("p", { class: "prompt", title: words }, bdi(words));
  element.addEventListener("click", () => element.classList.toggle("whole"));
  return element;
}
