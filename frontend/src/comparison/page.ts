/** Two reports side by side; texts, bars and matrix share one selection. */

import type { ComparisonPayload, NamedPair } from "../data/payload.generated";
import { Store } from "../state/store";
import { h, picker, replace, segmented } from "../ui/dom";
import { scaleSwatches } from "../ui/legend";
import { bdi, card, cautionNotes, key, list, note, table } from "../ui/parts";
import type { Surface } from "../ui/surface";
import { themeChoice } from "../ui/theme-choice";
import { Tooltip } from "../ui/tooltip";
import { firstHead, matrixView, movedHead, movedLayer } from "./matrix";
import { rowsView } from "./rows";
import {
  attributionOf,
  type ComparisonContext,
  type ComparisonState,
  differenceWords,
  largestDifference,
  valueWords,
} from "./state";
import { textsView } from "./texts";

export function mountComparison(payload: ComparisonPayload, surface: Surface, wholePage: boolean): void {
  const { root, theme, signal } = surface;
  const map = payload.attention[0];
  const store = new Store<ComparisonState>({
    hover: -1,
    focus: -1,
    attribution: 0,
    target: 0,
    shown: "difference",
    sort: "position",
    map: 0,
    layer: Math.max((map?.layers.length ?? 1) - 1, 0),
    head: firstHead(map),
    theme: "auto",
  });
  const context: ComparisonContext = { payload, store, theme, tooltip: new Tooltip() };
  const { cautions, remarks, outputs, evaluations, provenance, notes, omitted } = payload;
  const main = h(
    wholePage ? "main" : "div",
    { class: `report${wholePage ? " whole" : ""}` },
    header(context),
    ...cautionNotes(cautions),
    outputs.length > 0 && card("answers", h("h2", {}, "Outputs"), null, pairs(outputs, "difference")),
    scores(context),
    matrixView(context),
    evaluations.length > 0 && card("trust", h("h2", {}, "Faithfulness"), null, pairs(evaluations, "verdict")),
    remarks.length > 0 && card("remarks", h("h2", {}, "Other differences"), null, list(remarks)),
    card(
      "about",
      h("h2", {}, "How to read this"),
      null,
      list(notes),
      omitted.length > 0 && h("h3", {}, "Omitted from this page"),
      omitted.length > 0 && list(omitted),
      h("h3", {}, "Provenance"),
      pairs(provenance, ""),
      note("Made with model-understanding. This page loads nothing from the network."),
    ),
  );
  // Selecting a generated token shows its own target.
  store.watch(["focus"], (state) => {
    const target =
      attributionOf(payload, state)?.targets.findIndex((item) => item.unit === state.focus) ?? -1;
    if (state.focus >= 0 && target >= 0) store.set({ target });
  });
  root.replaceChildren(main, context.tooltip.element);
  listen(context, wholePage ? document : root, signal);
}

function header({ payload, store, theme }: ComparisonContext): HTMLElement {
  const [first, second] = payload.names;
  return h(
    "header",
    { class: "top-part" },
    h("div", { class: "toolbar" }, themeChoice(store, theme)),
    h("p", { class: "kicker" }, "comparison"),
    h("h1", {}, bdi(first), " → ", bdi(second)),
    h(
      "div",
      { class: "two-texts" },
      ...[0, 1].map((side) =>
        h(
          "p",
          {},
          h("strong", {}, bdi(payload.answers[side])),
          " ",
          h("span", { class: "note" }, bdi(payload.models[side])),
        ),
      ),
    ),
    note(payload.change),
  );
}

function scores(context: ComparisonContext): HTMLElement {
  const { payload, store, theme } = context;
  const { attributions } = payload;
  if (!attributions.length) {
    return card("texts", h("h2", {}, "Texts"), null, textsView(context), marks());
  }
  const title = h("h2");
  const [methods, agreement, legend] = [note(), h("p"), h("p", { class: "legend" })];
  const which = picker(
    "Attribution",
    attributions.map((item) => item.title),
    (attribution) => store.set({ attribution, target: 0 }),
  );
  const targets = h("div", {});
  let target: ReturnType<typeof picker> | undefined;
  const shown = segmented(
    "Color the texts by",
    [
      { value: "scores", label: "Each report" },
      { value: "difference", label: "Difference" },
    ],
    (value) => store.set({ shown: value }),
  );
  const sort = segmented(
    "Bar order",
    [
      { value: "position", label: "By position" },
      { value: "size", label: "By difference" },
    ],
    (value) => store.set({ sort: value }),
  );
  store.watch(["shown"], (state) => shown.show(state.shown));
  store.watch(["sort"], (state) => sort.show(state.sort));
  store.watch(["attribution"], (state) => {
    which.show(state.attribution);
    const part = attributions[state.attribution];
    replace(title, bdi(part.title));
    replace(methods, bdi(`${part.methods} · ${part.measureWords}`));
    target = picker(
      "Target",
      part.targets.map((item, index) => `${index + 1}. ${item.name}`),
      (index) => store.set({ target: index }),
    );
    target.show(state.target);
    replace(targets, part.targets.length > 1 && target.element);
  });
  const paint = () => {
    const { state } = store;
    const part = attributionOf(payload, state)!;
    const isDifference = state.shown === "difference";
    const [reach, words] = isDifference
      ? [largestDifference(part, state.target), differenceWords]
      : [part.reach, valueWords];
    const signed = isDifference || part.signed;
    replace(agreement, h("strong", {}, part.targets[state.target].agreement));
    replace(
      legend,
      h("span", {}, signed ? `${isDifference ? "lower in the second: " : ""}${words(part, -reach)}` : "0"),
      scaleSwatches(theme.colors.palette, signed),
      h(
        "span",
        {},
        `${words(part, reach)}${isDifference ? ": higher in the second" : " (same scale for both)"}`,
      ),
    );
  };
  store.watch(["target"], (state) => target?.show(state.target));
  store.watch(["attribution", "target", "shown"], paint);
  theme.watch(paint);
  return card(
    "saliency",
    title,
    [attributions.length > 1 && which.element, targets, shown.element, sort.element],
    methods,
    agreement,
    textsView(context),
    legend,
    marks(),
    rowsView(context),
  );
}

/** The legend for tokens that are not in both texts. */
function marks(): HTMLElement {
  const mark = (name: string, words: string) => key(h("span", { class: `token ${name}` }, "word"), words);
  return h(
    "p",
    { class: "legend" },
    mark("first-only", "only in the first"),
    mark("second-only", "only in the second"),
    mark("replaced", "replaced"),
  );
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

function listen({ payload, store }: ComparisonContext, scope: EventTarget, signal: AbortSignal): void {
  const single: Record<string, () => void> = {
    "[": () => moveLayer(-1),
    "]": () => moveLayer(1),
    h: () => moveHead(1),
    H: () => moveHead(-1),
    o: () => store.set({ sort: store.state.sort === "size" ? "position" : "size" }),
    d: () => store.set({ shown: store.state.shown === "scores" ? "difference" : "scores" }),
    Escape: () => store.set({ focus: -1 }),
  };
  const moveLayer = (by: number) => {
    const part = payload.attention[store.state.map];
    if (part) store.set({ layer: movedLayer(part, store.state.layer, by) });
  };
  const moveHead = (by: number) => {
    const part = payload.attention[store.state.map];
    if (part) store.set({ head: movedHead(part, store.state.head, by) });
  };
  scope.addEventListener(
    "keydown",
    (keydown) => {
      const event = keydown as KeyboardEvent;
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if ((event.composedPath()[0] as Element).matches?.("input, select, textarea")) return;
      single[event.key]?.();
    },
    { signal },
  );
}
