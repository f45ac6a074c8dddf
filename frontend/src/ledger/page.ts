/** The page of a ledger or a diff of two models: its answer, what was compared, the map, the strongest places. */

import type { LedgerPayload } from "../data/payload.generated";
import type { MountOptions } from "../start";
import { listen } from "../state/keys";
import { Store } from "../state/store";
import { h } from "../ui/dom";
import { drawer, openToPrint } from "../ui/drawer";
import { cautionLine, note } from "../ui/parts";
import { surface } from "../ui/surface";
import { toast } from "../ui/toast";
import { Tooltip } from "../ui/tooltip";
import { helpDialog } from "../views/help";
import { toolbar } from "../views/toolbar";
import { aboutView, codeView, gapsView, restoredView } from "./about";
import css from "./ledger.css";
import { mapView } from "./map";
import { rankedView } from "./ranked";
import { followAddress, type PageContext, spansOf, stateOf, withMap } from "./state";
import { textsView } from "./texts";
import { isolated } from "./words";

const KEYS: readonly (readonly [string, string])[] = [
  ["↑ ↓", "on the map: next or previous layer"],
  ["← →", "on the map: previous or next token"],
  ["Home End", "on the map: first or last token"],
  ["m", "next map"],
  ["a", "every token, or only those that have some of the difference"],
  ["t", "theme: auto, light or dark"],
  ["Esc", "close menus"],
  ["?", "show this help"],
];
const THEMES = ["auto", "light", "dark"] as const;
const MANY = 12; // columns, from which the map has the width of the page

export function mountLedger(element: HTMLElement, payload: LedgerPayload, options: MountOptions): void {
  if (payload.schema !== 1)
    throw new Error(`Unsupported payload schema ${String(payload.schema)}: expected 1.`);
  const { root, theme, signal } = surface(element, payload.palette, css);
  const store = new Store(stateOf(options.wholePage ? location.hash : (options.view ?? ""), payload));
  const message = toast();
  const tooltip = new Tooltip();
  const context: PageContext = { payload, store, theme, tooltip, say: message.say, signal };
  const help = helpDialog(store, KEYS);
  const main = h(
    options.wholePage ? "main" : "div",
    { class: `report ledger${options.wholePage ? " whole" : ""}` },
    headerView(context, help.toggle),
    textsView(context),
    mapPart(context),
    h(
      "div",
      { class: "drawers" },
      payload.restored.length > 0 &&
        drawer(store, "restored", "What restoring gave", () => restoredView(payload)),
      payload.gap !== "" && drawer(store, "gaps", "How exact it is", () => gapsView(payload)),
      (payload.python || payload.command) !== "" &&
        drawer(store, "code", "Compute it again", () => codeView(context)),
      drawer(store, "about", "How to read this, and where it comes from", () =>
        aboutView(payload, options.size),
      ),
    ),
  );
  root.replaceChildren(main, tooltip.element, message.element, help.element);
  const { maps } = payload;
  listen(
    { scope: options.wholePage ? document : root, root },
    {
      single: {
        m: () =>
          maps.length > 1 && store.set(withMap(payload, store.state, (store.state.map + 1) % maps.length)),
        a: () => store.set({ all: !store.state.all }),
        t: () => store.set({ theme: THEMES[(THEMES.indexOf(store.state.theme) + 1) % THEMES.length] }),
        "?": help.toggle,
      },
      areOn: () => store.state.shortcuts,
      escape: () => {},
    },
    signal,
  );
  openToPrint(store, root, signal);
  if (options.wholePage) followAddress(context);
}

function headerView({ payload, store, theme }: PageContext, help: () => void): HTMLElement {
  const [first, ...others] = payload.answer;
  return h(
    "header",
    { class: "top-part" },
    toolbar({ store, theme, origin: payload.origin }, { help, save: null }),
    h("h1", {}, ...isolated(first)),
    ...others.map((words) => h("p", { class: "finding" }, ...isolated(words))),
    cautionLine(payload.cautions),
  );
}

function mapPart(context: PageContext): HTMLElement | false {
  const { payload, store } = context;
  if (!payload.maps.length) return false;
  const element = h(
    "div",
    { class: "ledger-split" },
    h("div", {}, mapView(context), note(...isolated(payload.note))),
    rankedView(context),
  );
  store.watch(["all"], ({ all }) => {
    const columns = Math.max(...payload.axes.map((axis) => spansOf(axis, all).length));
    element.classList.toggle("many", columns >= MANY);
  });
  return element;
}
