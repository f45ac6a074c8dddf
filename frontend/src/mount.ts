/** Mounts a report into a shadow root, so that no styles leak in or out. */

import { mountComparison } from "./comparison/page";
import type { Context } from "./context";
import { Model } from "./data/model";
import type { Attention, Attribution, ComparisonPayload, Payload } from "./data/payload.generated";
import { Actions } from "./state/actions";
import { listenToKeys } from "./state/keyboard";
import { fitting, followAddress, stateOf } from "./state/permalink";
import { type State, Store } from "./state/store";
import { LONG, OPENING_SIZE } from "./state/window";
import { copy } from "./ui/clipboard";
import { h } from "./ui/dom";
import { surface } from "./ui/surface";
import { toast } from "./ui/toast";
import { Tooltip } from "./ui/tooltip";
import { aboutView } from "./views/about";
import { announcer } from "./views/announcer";
import { attentionView } from "./views/attention/view";
import { generationView } from "./views/generation/view";
import { headerView } from "./views/header";
import { headsView } from "./views/heads/view";
import { helpDialog } from "./views/help";
import { layersView } from "./views/layers/view";
import { neuronsView } from "./views/neurons";
import { saliencyView } from "./views/saliency/view";
import { trustView } from "./views/trust";

export interface MountOptions {
  /** The report is the whole page: the address stores the view, shortcuts work everywhere. */
  readonly wholePage?: boolean;
  /** The page's size as text. */
  readonly size?: string | undefined;
}

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
    mountComparison(payload, { root, theme, signal, destroy }, options.wholePage ?? false);
    return { destroy };
  }
  const model = new Model(payload);
  const initial = fitting(opening(model), model);
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
    signal,
  };
  const help = helpDialog(context);
  const link = async () => {
    try {
      await copy(location.href);
      message.say("Link copied");
    } catch {
      message.say("Copy the link from the address bar");
    }
  };
  const main = h(
    options.wholePage ? "main" : "div",
    { class: `report${options.wholePage ? " whole" : ""}` },
    headerView(context, { help: help.toggle, link: options.wholePage ? () => void link() : null }),
    trustView(context),
    generationView(context),
    saliencyView(context),
    attentionView(context),
    headsView(context),
    layersView(context),
    neuronsView(context),
    aboutView(context, options.size),
  );
  root.replaceChildren(main, context.tooltip.element, message.element, announcer(context), help.element);
  listenToKeys(context, { scope: options.wholePage ? document : root, root, help: help.toggle });
  if (options.wholePage) followAddress(store, model, initial, signal);
  return { destroy };
}

/** The state a report opens with: the first generated token, else the token with the largest score. */
function opening(model: Model): State {
  const { attributions, attention } = model.payload;
  const bySteps = attributions.findIndex((attribution) => model.followsSteps(attribution));
  const attribution = Math.max(bySteps, 0);
  const map = model.generation
    ? Math.max(
        attention.findIndex((part) => part.steps),
        0,
      )
    : 0;
  const part = attention[map];
  const first = model.generation && bySteps >= 0 ? attributions[bySteps].targets[0].step : -1;
  const token = first >= 0 ? model.generation!.promptLength + first : strongest(attributions[attribution]);
  return {
    anchor: token,
    focus: token,
    pinned: false,
    hover: -1,
    attribution,
    target: 0,
    targetEnd: 0,
    level: "token",
    sort: "position",
    map,
    layer: Math.max((part?.layers.length ?? 1) - 1, 0),
    head: (part?.heads.length ?? 1) > 1 ? -1 : 0,
    sinks: "muted",
    scale: "head",
    zoom: isLongMap(part),
    zoomRow: Math.max(token, 0),
    zoomKey: Math.max(token, 0),
    zoomSize: OPENING_SIZE,
    ranking: 0,
    topHeads: 0,
    search: "",
    open: "",
    theme: "auto",
    shortcuts: true,
  };
}

function isLongMap(part: Attention | undefined): boolean {
  if (!part) return false;
  return part.pooled * Math.max(part.rowPositions.length, part.keyPositions.length) > LONG;
}

function strongest(attribution: Attribution | undefined): number {
  let best = -1;
  let size = 0;
  attribution?.scores[0]?.forEach((score, index) => {
    const token = attribution.positions[index];
    if (score === null || Math.abs(score) <= size || attribution.table !== 0) return;
    size = Math.abs(score);
    best = token;
  });
  return best;
}
