/** Mounts a report into a shadow root, so that no styles leak in or out. */

import { mountComparison } from "./comparison/page";
import type { Context } from "./context";
import { Model } from "./data/model";
import type { Attention, ComparisonPayload, Payload } from "./data/payload.generated";
import type { MountOptions } from "./start";
import { Actions } from "./state/actions";
import { listenToKeys } from "./state/keyboard";
import { fitting, followAddress, fragmentOf, stateOf } from "./state/permalink";
import { type State, Store } from "./state/store";
import { LONG, OPENING_SIZE } from "./state/window";
import { h } from "./ui/dom";
import { bring, drawer, openToPrint } from "./ui/drawer";
import { button } from "./ui/parts";
import { surface } from "./ui/surface";
import { toast } from "./ui/toast";
import { Tooltip } from "./ui/tooltip";
import { aboutView } from "./views/about";
import { announcer } from "./views/announcer";
import { attentionView } from "./views/attention/view";
import { tableView } from "./views/generation/table";
import { headerView } from "./views/header";
import { headTable } from "./views/heads/table";
import { headsView } from "./views/heads/view";
import { helpDialog } from "./views/help";
import { layersView } from "./views/layers/view";
import { linksView } from "./views/links";
import { neuronsView } from "./views/neurons";
import { allScoresView, saliencyView } from "./views/saliency/view";
import { trustView } from "./views/trust";

export interface Mounted {
  /** Remove the report and all its listeners. */
  destroy(): void;
}

export function mount(
  element: HTMLElement,
  payload: Payload | ComparisonPayload,
  options: MountOptions = {},
): Mounted {
  if (payload.schema !== 1)
    throw new Error(`Unsupported payload schema ${String(payload.schema)}: expected 1.`);
  const { root, theme, signal, destroy } = surface(element, payload.palette);
  if ("kind" in payload) {
    mountComparison(payload, { root, theme, signal, destroy }, { wholePage: false, ...options });
    return { destroy };
  }
  const model = new Model(payload);
  const plain = fitting(opening(model), model);
  const initial = options.view ? fitting({ ...plain, ...stateOf(options.view, plain, model) }, model) : plain;
  const store = new Store(
    options.wholePage ? fitting({ ...initial, ...stateOf(location.hash, initial, model) }, model) : initial,
  );
  const message = toast();
  const context: Context = {
    model,
    store,
    actions: new Actions(model, store),
    theme,
    tooltip: new Tooltip(),
    say: message.say,
    bring: (name) => bring(root, name),
    signal,
  };
  const help = helpDialog(store);
  const save = () => {
    options.save?.(fragmentOf(store.state, plain), payload.title);
    message.say("Saved a copy of this page that opens in this view");
  };
  const skip = button("Skip to the text", () => root.querySelector<HTMLElement>(".text")?.focus());
  skip.classList.add("skip");
  const main = h(
    options.wholePage ? "main" : "div",
    { class: `report${options.wholePage ? " whole" : ""}` },
    skip,
    headerView(context, { help: help.toggle, save: options.save ? save : null }),
    saliencyView(context),
    linksView(context),
    tableView(context),
    h("div", { class: "drawers" }, ...drawers(context, options.size)),
  );
  root.replaceChildren(main, context.tooltip.element, message.element, announcer(context), help.element);
  listenToKeys(context, { scope: options.wholePage ? document : root, root, help: help.toggle });
  openToPrint(store, root, signal);
  if (options.wholePage) followAddress(store, model, initial, signal);
  return { destroy };
}

/** What a reader may open below the answer. */
function drawers(context: Context, size: string | undefined): (HTMLElement | false)[] {
  const { model, store } = context;
  const { attention, heads, lens, neurons, attributions } = model.payload;
  const hasHeads = attention.some((part) => part.heads.length > 1 || part.layers.length > 1);
  return [
    attributions.length > 0 && drawer(store, "scores", "All scores", () => allScoresView(context)),
    attention.length > 0 &&
      drawer(store, "attention", "Where the model attends", () => [attentionView(context)]),
    hasHeads && drawer(store, "heads", "Attention heads", () => [headsView(context)]),
    !hasHeads && !!heads && drawer(store, "heads", "Attention heads", () => [headTable(heads)]),
    !!lens && drawer(store, "layers", "What each layer would answer", () => [layersView(context)]),
    !!neurons?.held.length &&
      drawer(store, "neurons", "Query and keys of a head", () => [neuronsView(context)]),
    attributions.length > 0 && drawer(store, "trust", "How was this tested?", () => [trustView(context)]),
    drawer(store, "about", "How to read this, and where it comes from", () => [aboutView(context, size)]),
  ];
}

/** The state a report opens with: nothing selected; of a generation, the whole answer. */
function opening(model: Model): State {
  const { attention, readings, answer } = model.payload;
  const first = readings[answer?.opens ?? 0] ?? { attribution: 0, first: 0, last: 0, level: "word" };
  const map = model.generation
    ? Math.max(
        attention.findIndex((part) => part.steps),
        0,
      )
    : 0;
  const part = attention[map];
  return {
    anchor: -1,
    focus: -1,
    pinned: false,
    hover: -1,
    attribution: first.attribution,
    target: first.first,
    targetEnd: first.last,
    level: first.level === "character" ? "token" : first.level,
    sort: "position",
    map,
    layer: Math.max((part?.layers.length ?? 1) - 1, 0),
    head: (part?.heads.length ?? 1) > 1 ? -1 : 0,
    sinks: "muted",
    scale: "head",
    zoom: isLongMap(part),
    zoomRow: 0,
    zoomKey: 0,
    zoomSize: OPENING_SIZE,
    ranking: 0,
    topHeads: 0,
    search: "",
    open: openAtFirst(model),
    theme: "auto",
    shortcuts: true,
  };
}

/** The drawer of a result that is shown by itself; of whole reports none is open. */
function openAtFirst({ payload }: Model): string {
  const { prediction, generation, answer, links, attributions, attention, heads, lens, neurons } = payload;
  if (prediction || generation || answer || links || attributions.length) return "";
  if (attention.length) return "attention";
  if (heads) return "heads";
  return lens ? "layers" : neurons?.held.length ? "neurons" : "";
}

function isLongMap(part: Attention | undefined): boolean {
  if (!part) return false;
  return part.pooled * Math.max(part.rowPositions.length, part.keyPositions.length) > LONG;
}
