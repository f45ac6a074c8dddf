/** The page of an answer map: the answer with its statements, the sources beside it, a table of both. */

import type { AnswerMapPayload } from "../data/payload.generated";
import type { MountOptions } from "../start";
import { listen } from "../state/keys";
import { Store } from "../state/store";
import { h } from "../ui/dom";
import { drawer, openToPrint } from "../ui/drawer";
import { bdi, cautionLine } from "../ui/parts";
import { surface } from "../ui/surface";
import { toast } from "../ui/toast";
import { Tooltip } from "../ui/tooltip";
import { helpDialog } from "../views/help";
import { toolbar } from "../views/toolbar";
import { aboutView, numbersView, promptView } from "./about";
import { answerView, goToSource } from "./answer";
import { cardsView } from "./cards";
import { finder } from "./find";
import { matrixView } from "./matrix";
import css from "./sources.css";
import { followAddress, type PageContext, stateOf } from "./state";
import { whyView } from "./why";
import { named } from "./words";

const KEYS: readonly (readonly [string, string])[] = [
  ["n p", "next or previous statement"],
  ["u", "next statement that rests on nothing in the sources"],
  ["s S", "next or previous source that changes a statement by 1 nat or more"],
  ["← →", "in the answer: next or previous statement; in the table: cells; Enter selects"],
  ["t", "theme: auto, light or dark"],
  ["/", "search the answer and the sources; Enter goes to the next match"],
  ["Esc", "clear the selection, close menus"],
  ["?", "show this help"],
];
/** A key that selects counts more than what the pointer or the keyboard is on. */
const NOWHERE = { overStatement: -1, overSource: -1, overRow: -1 } as const;
const THEMES = ["auto", "light", "dark"] as const;

export function mountAnswerMap(element: HTMLElement, payload: AnswerMapPayload, options: MountOptions): void {
  if (payload.schema !== 1)
    throw new Error(`Unsupported payload schema ${String(payload.schema)}: expected 1.`);
  const { root, theme, signal } = surface(element, payload.palette, css);
  const store = new Store(stateOf(options.wholePage ? location.hash : (options.view ?? ""), payload));
  const message = toast();
  const tooltip = new Tooltip();
  const context: PageContext = { payload, store, theme, tooltip, say: message.say, signal };
  const help = helpDialog(store, KEYS);
  const answer = answerView(context);
  const cards = cardsView(context);
  const main = h(
    options.wholePage ? "main" : "div",
    { class: `report sourced${options.wholePage ? " whole" : ""}` },
    headerView(context, help.toggle, finder(context, answer, cards)),
    h(
      "div",
      { class: "sourced-split" },
      h("div", { class: "sourced-left" }, answer, whyView(context)),
      cards.element,
    ),
    matrixView(context),
    h(
      "div",
      { class: "drawers" },
      drawer(store, "numbers", "What the numbers mean", () => numbersView(payload)),
      drawer(store, "prompt", "The prompt", () => promptView(payload)),
      drawer(store, "about", "How to read this page; model and versions", () =>
        aboutView(payload, options.size),
      ),
    ),
  );
  root.replaceChildren(main, tooltip.element, message.element, help.element);

  const among = (indices: readonly number[], from: number, by: number): number => {
    if (!indices.length) return -1;
    const next =
      by > 0 ? indices.find((index) => index > from) : indices.filter((index) => index < from).at(-1);
    return next ?? (by > 0 ? indices[0] : indices[indices.length - 1]);
  };
  const statement = (indices: readonly number[], by: number, none: string) => {
    const next = among(
      indices,
      store.state.statement < 0 && by < 0 ? indices.length : store.state.statement,
      by,
    );
    if (next < 0) return message.say(none);
    store.set({ ...NOWHERE, statement: next, source: -1 });
    answer.querySelector(`[data-statement="${next}"]`)?.scrollIntoView({ block: "nearest" });
  };
  const source = (by: number) => {
    const used = payload.sources.flatMap(({ statements, others }, index) =>
      statements.length || others.length ? [index] : [],
    );
    const next = among(
      used,
      store.state.source < 0 && by < 0 ? payload.sources.length : store.state.source,
      by,
    );
    if (next < 0) return message.say("No source changes a statement by 1 nat or more.");
    store.set({ ...NOWHERE, statement: -1, source: next });
    goToSource(answer, next);
  };
  const every = payload.statements.map((_, index) => index);
  const unfounded = every.filter((index) => payload.statements[index].origin === "nothing");
  listen(
    { scope: options.wholePage ? document : root, root },
    {
      single: {
        n: () => statement(every, 1, "The answer has no statement."),
        p: () => statement(every, -1, "The answer has no statement."),
        u: () => statement(unfounded, 1, "No statement rests on nothing in the sources."),
        s: () => source(1),
        S: () => source(-1),
        t: () => store.set({ theme: THEMES[(THEMES.indexOf(store.state.theme) + 1) % THEMES.length] }),
        "/": () => root.querySelector<HTMLInputElement>(".search")?.focus(),
        "?": help.toggle,
      },
      areOn: () => store.state.shortcuts,
      escape: () => store.set({ ...NOWHERE, statement: -1, source: -1 }),
    },
    signal,
  );
  openToPrint(store, root, signal);
  if (options.wholePage) followAddress(context);
}

function headerView(
  context: PageContext,
  help: () => void,
  find: (text: string, by: number) => number,
): HTMLElement {
  const { payload, store, theme } = context;
  return h(
    "header",
    { class: "top-part" },
    toolbar({ store, theme, origin: payload.origin, find }, { help, save: null }),
    h("h1", {}, ...named(payload.headline, "named")),
    h("p", { class: "note" }, payload.note),
    payload.question &&
      h("p", { class: "question" }, h("span", { class: "control-name" }, "Question "), bdi(payload.question)),
    cautionLine(payload.cautions),
  );
}
