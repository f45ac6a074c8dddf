/** Two reports compared: what changed in the answer and why, both texts, and drawers with the numbers. */

import type { ComparisonPayload, NamedPair } from "../data/payload.generated";
import { exportMenu } from "../export/menu";
import { listen } from "../state/keys";
import { Store } from "../state/store";
import { type Child, h, picker, replace, segmented } from "../ui/dom";
import { bring, drawer } from "../ui/drawer";
import { scaleSwatches } from "../ui/legend";
import { bdi, cautionLine, key, list, note, table } from "../ui/parts";
import type { Surface } from "../ui/surface";
import { toast } from "../ui/toast";
import { Tooltip } from "../ui/tooltip";
import { helpDialog } from "../views/help";
import { toolbar } from "../views/toolbar";
import { SYMBOLS } from "../words";
import { followAddress, fragmentOf, stateOf } from "./address";
import { changesView } from "./changes";
import { scoresExport } from "./export";
import { findUnit, KEYS } from "./find";
import { headline, inputs, why } from "./header";
import { matrixView, movedHead, movedLayer } from "./matrix";
import { type ComparisonContext, type ComparisonState, SIDES, shownOf, valueWords } from "./state";
import { textsView } from "./texts";

export interface ComparisonOptions {
  readonly wholePage: boolean;
  /** The page's size as text. */
  readonly size?: string | undefined;
  /** Save a copy of the page that opens in a view; undefined where there is no page to copy. */
  readonly save?: ((view: string, title: string) => void) | undefined;
  /** The view to open in. */
  readonly view?: string | undefined;
}

const INITIAL: ComparisonState = {
  hover: -1,
  focus: -1,
  attribution: 0,
  level: 0,
  target: 0,
  shown: "difference",
  sort: "size",
  map: 0,
  layer: -1,
  head: -1,
  row: -1,
  key: -1,
  search: "",
  open: "",
  theme: "auto",
  shortcuts: true,
};

export function mountComparison(
  payload: ComparisonPayload,
  { root, theme, signal }: Surface,
  options: ComparisonOptions,
): void {
  const opened = options.wholePage ? location.hash : "";
  const store = new Store(stateOf(opened || (options.view ?? ""), INITIAL, payload));
  const message = toast();
  const context: ComparisonContext = { payload, store, theme, tooltip: new Tooltip(), say: message.say };
  const help = helpDialog(store, KEYS);
  const title = payload.answers.map(({ name }) => name).join(" → ");
  const save = () => {
    options.save?.(fragmentOf(store.state, INITIAL), title);
    message.say("Saved a copy of this page that opens in this view");
  };
  const main = h(
    options.wholePage ? "main" : "div",
    { class: `report comparison${options.wholePage ? " whole" : ""}` },
    h(
      "header",
      { class: "top-part" },
      toolbar(
        {
          store,
          theme,
          origin: "comparison of two reports",
          find: (text, by) => findUnit(context, text, by),
        },
        { help: help.toggle, save: options.save ? save : null },
      ),
      headline(context),
      why(context),
      inputs(context),
      cautionLine(payload.cautions),
    ),
    scores(context),
    h("div", { class: "drawers" }, ...drawers(context, options.size)),
  );
  // Selecting a generated token shows its own target.
  store.watch(["focus"], (state) => {
    const target = shownOf(payload, state)?.level.targets.findIndex(({ unit }) => unit === state.focus) ?? -1;
    if (state.focus >= 0 && target >= 0) store.set({ target });
  });
  root.replaceChildren(main, context.tooltip.element, message.element, help.element);
  listenToKeys(context, { scope: options.wholePage ? document : root, root, help: help.toggle }, signal);
  if (options.wholePage) followAddress(store, payload, INITIAL, signal);
}

/** Both texts, the largest differences, and how they are colored. */
function scores(context: ComparisonContext): HTMLElement {
  const { payload, store, theme } = context;
  const { attributions } = payload;
  if (!attributions.length) return h("section", { class: "compared" }, textsView(context), marks(payload));
  const legend = h("p", { class: "legend" });
  const paint = () => {
    const { part, target } = shownOf(payload, store.state)!;
    const isDifference = store.state.shown === "difference";
    const full = valueWords(part, target.full);
    replace(
      legend,
      h("span", {}, isDifference ? "lower in the second" : part.signed ? `−${full}` : "0"),
      scaleSwatches(theme.colors.palette, isDifference || part.signed),
      h("span", {}, isDifference ? `higher; full color: ${full}, the largest score` : full),
      marks(payload),
    );
  };
  store.watch(["attribution", "level", "target", "shown"], paint);
  theme.watch(paint);
  return h(
    "section",
    { class: "compared", "aria-label": "Both texts and their largest differences" },
    h(
      "div",
      { class: "compared-split" },
      textsView(context),
      h(
        "div",
        { class: "top-changes" },
        largestTitle(context),
        changesView(context, false),
        noDifference(context),
      ),
    ),
    legend,
    controls(context),
    largest(context),
  );
}

function largestTitle({ payload, store }: ComparisonContext): HTMLElement {
  const unit = h("span", { class: "note" });
  store.watch(["attribution"], (state) => {
    unit.textContent = payload.attributions[state.attribution].measure === "score" ? "" : " in points";
  });
  return h("h2", {}, "Largest differences", unit);
}

function noDifference({ payload, store }: ComparisonContext): HTMLElement {
  const words = note("No difference that counts against the size of the scores.");
  store.watch(["attribution", "level", "target"], (state) => {
    words.hidden = !!shownOf(payload, state)?.target.largest.length;
  });
  return words;
}

/** What is compared, and exports of it. */
function controls(context: ComparisonContext): HTMLElement {
  const { payload, store } = context;
  const { attributions } = payload;
  const targets = h("div", { class: "targets" });
  const levels = h("div", { class: "targets" });
  const words = note();
  const which = picker(
    "Attribution",
    attributions.map((item) => item.title),
    (attribution) => store.set({ attribution, target: 0 }),
  );
  const shown = segmented<ComparisonState["shown"]>(
    "Color the texts by",
    [
      { value: "difference", label: "Difference", tip: "color both texts by their difference" },
      { value: "scores", label: "Each report", tip: "color each text by its own scores" },
    ],
    (value) => store.set({ shown: value }),
  );
  store.watch(["shown"], (state) => shown.show(state.shown));
  store.watch(["attribution", "level", "target"], (state) => {
    const { part, level, target } = shownOf(payload, state)!;
    which.show(state.attribution);
    const each = picker(
      "Target",
      level.targets.map(({ name }) => name),
      (index) => store.set({ target: index }),
    );
    each.show(state.target);
    replace(targets, level.targets.length > 1 && each.element);
    const unit = segmented(
      "Granularity",
      part.levels.map(({ name }, index) => ({
        value: String(index),
        label: name === "word" ? "Words" : "Tokens",
      })),
      (value) => store.set({ level: Number(value) }),
    );
    unit.show(String(Math.min(state.level, part.levels.length - 1)));
    replace(levels, part.levels.length > 1 && unit.element);
    replace(words, bdi(`${part.title} · ${part.methods} · ${part.measureWords} · ${target.agreement}`));
  });
  return h(
    "div",
    { class: "compared-controls" },
    h(
      "div",
      { class: "controls" },
      attributions.length > 1 && which.element,
      targets,
      levels,
      shown.element,
      exportMenu(context.say, "Comparison", () => scoresExport(context)),
    ),
    words,
  );
}

/** The largest single change, and a click to where it is shown. */
function largest({ payload, store }: ComparisonContext): HTMLElement | null {
  const change = payload.largest;
  if (!change) return null;
  const { kind, part, target, unit, layer, head, row, key: column } = change;
  const show = (event: Event) => {
    const root = (event.target as Element).getRootNode() as ShadowRoot;
    if (kind === "attention") store.set({ map: part, layer, head, row, key: column });
    if (kind === "share") {
      const { levels } = payload.attributions[part];
      const level = levels.length - 1;
      store.set({ attribution: part, level, target, sort: "size", focus: levels[level].units.indexOf(unit) });
    }
    bring(root, { attention: "attention", share: "words", output: "outputs" }[kind]);
  };
  const isShown = part >= 0 && (kind !== "share" || part < payload.attributions.length);
  return h(
    "p",
    { class: "note largest" },
    bdi(change.words),
    isShown && h("button", { type: "button", class: "plain", on: { click: show } }, "Show"),
  );
}

/** The legend for tokens that are not in both texts, where there are any. */
function marks({ kinds }: ComparisonPayload): HTMLElement {
  const mark = (name: string, words: string) =>
    kinds.includes(name.replace("-", " ") as (typeof kinds)[number]) &&
    key(h("span", { class: `token ${name}` }, "word"), words);
  return h(
    "span",
    { class: "marks" },
    mark("first-only", "only in the first"),
    mark("second-only", "only in the second"),
    mark("replaced", "replaced"),
  );
}

function drawers(context: ComparisonContext, size = ""): Child[] {
  const { payload, store } = context;
  const { outputs, evaluations, provenance, notes, omitted, remarks } = payload;
  const order = segmented<ComparisonState["sort"]>(
    "Order",
    [
      { value: "position", label: "By position" },
      { value: "size", label: "By difference" },
    ],
    (value) => store.set({ sort: value }),
  );
  store.watch(["sort"], (state) => order.show(state.sort));
  return [
    payload.attributions.length > 0 &&
      drawer(store, "words", "Every word", () => [order.element, changesView(context, true)]),
    payload.attention.length > 0 &&
      drawer(store, "attention", "Where attention differs: layers and heads", () => matrixView(context)),
    outputs.length > 0 && drawer(store, "outputs", "Outputs", () => [pairs(outputs, "difference")]),
    evaluations.length > 0 &&
      drawer(store, "tests", "How was this tested?", () => [
        verdicts(context),
        pairs(evaluations, "verdict"),
      ]),
    drawer(store, "about", "Provenance and how to read this", () => [
      h(
        "div",
        { class: "card" },
        list(notes),
        remarks.length > 0 && h("h3", {}, "Other differences"),
        remarks.length > 0 && list(remarks),
        omitted.length > 0 && h("h3", {}, "Omitted from this page"),
        omitted.length > 0 && list(omitted),
        pairs(provenance, ""),
        size && h("p", { class: "note", "data-role": "page-size" }, `Page size: ${size}.`),
        note("Made with model-understanding. This page loads nothing from the network."),
      ),
    ]),
  ];
}

/** What the verdict on each side rests on. */
function verdicts({ payload, store }: ComparisonContext): HTMLElement {
  const element = h("div", {});
  store.watch(["attribution", "level", "target"], (state) => {
    const trust = shownOf(payload, state)?.target.trust ?? [];
    replace(
      element,
      ...trust.map(({ verdict, words }, side) =>
        h(
          "p",
          {},
          h("strong", {}, `${SIDES[side]}: ${SYMBOLS[verdict]} ${verdict}`),
          words && ". ",
          bdi(words),
        ),
      ),
    );
  });
  return element;
}

function pairs(rows: readonly NamedPair[], remark: string): HTMLElement {
  const cell = (words: string) => h("td", {}, bdi(words));
  const lines = rows.map((row) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, bdi(row.name)),
      cell(row.first),
      cell(row.second),
      remark && cell(row.remark),
    ),
  );
  const names = ["", "first", "second", ...(remark ? [remark] : [])];
  return h("div", { class: "scroll" }, table(names, h("tbody", {}, ...lines), "pairs"));
}

function listenToKeys(
  { payload, store, say }: ComparisonContext,
  { scope, root, help }: { scope: EventTarget; root: ShadowRoot; help: () => void },
  signal: AbortSignal,
): void {
  const part = () => payload.attention[store.state.map];
  const moveLayer = (by: number) => part() && store.set({ layer: movedLayer(part(), store.state.layer, by) });
  const moveHead = (by: number) => part() && store.set({ head: movedHead(part(), store.state.head, by) });
  const next = (key: "attribution" | "map" | "level", count: number, more = {}) =>
    count > 1 && store.set({ [key]: (store.state[key] + 1) % count, ...more });
  const single: Record<string, () => void> = {
    "[": () => moveLayer(-1),
    "]": () => moveLayer(1),
    h: () => moveHead(1),
    H: () => moveHead(-1),
    m: () => next("map", payload.attention.length, { layer: -1, head: -1, row: -1, key: -1 }),
    a: () => next("attribution", payload.attributions.length, { target: 0 }),
    g: () => next("level", payload.attributions[store.state.attribution]?.levels.length ?? 0),
    o: () => store.set({ sort: store.state.sort === "size" ? "position" : "size" }),
    d: () => {
      store.set({ shown: store.state.shown === "scores" ? "difference" : "scores" });
      say(`Colors: ${store.state.shown === "scores" ? "each report's own scores" : "difference"}`);
    },
    "/": () => root.querySelector<HTMLInputElement>(".search")?.focus(),
    "?": help,
  };
  listen(
    { scope, root },
    {
      single,
      areOn: () => store.state.shortcuts,
      escape: () => store.set({ focus: -1, row: -1, key: -1, search: "" }),
    },
    signal,
  );
}
