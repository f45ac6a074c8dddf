/** The strongest places of the map that is shown, and the strongest heads or tokens; a click selects one on the map. */

import type { LedgerCell, LedgerMap } from "../data/payload.generated";
import { h, replace } from "../ui/dom";
import { bar, note, track } from "../ui/parts";
import type { PageContext } from "./state";
import { isolated } from "./words";

const FEW = 8;
const ONE_OF_EACH = "Each token where its share is largest: shares of several rows do not add up to 100 %.";
const ADDED =
  "What single steps add: shares do not add up to 100 %; those above are offset by negative ones.";

export function rankedView(context: PageContext): HTMLElement {
  const { payload, store, theme } = context;
  const second = payload.maps.findIndex(({ key }) => key === "heads" || key === "tokens");
  const [places, ofSecond] = [h("section", { class: "ranked" }), h("section", { class: "ranked" })];
  const draw = () => {
    const { map } = store.state;
    const isSecond = map === second;
    list(context, places, isSecond ? 0 : map);
    if (second >= 0) list(context, ofSecond, second);
  };
  store.watch(["map", "row", "column"], draw);
  theme.watch(draw);
  return h("div", { class: "ranked-lists" }, places, second >= 0 && ofSecond);
}

function list(context: PageContext, element: HTMLElement, index: number): void {
  const map = context.payload.maps[index];
  const kept = (element.getRootNode() as ShadowRoot).activeElement?.getAttribute("data-place");
  replace(
    element,
    h("h2", {}, "Strongest ", map.name),
    h("ol", {}, ...map.ranked.slice(0, FEW).map((cell) => h("li", {}, line(context, map, index, cell)))),
    context.payload.kind === "ledger" && note(map.isCut ? ONE_OF_EACH : ADDED),
  );
  if (kept) element.querySelector<HTMLElement>(`[data-place="${CSS.escape(kept)}"]`)?.focus();
}

function line(
  { store, theme }: PageContext,
  map: LedgerMap,
  index: number,
  { row, column, place, value, share, strength }: LedgerCell,
): HTMLElement {
  const { state } = store;
  const isSelected = state.map === index && state.row === row && state.column === column;
  const half = 50 * Math.abs(strength);
  const color = theme.colors.bar(strength, true, false);
  return h(
    "button",
    {
      type: "button",
      class: "ranked-line",
      "aria-pressed": String(isSelected),
      "data-place": `${map.key}-${row}-${column}`,
      on: { click: () => store.set({ map: index, row, column }) },
    },
    h("span", { class: "ranked-place" }, ...isolated(place)),
    track(bar(half, color, strength < 0 ? 50 - half : 50), true),
    h("span", { class: "ranked-value" }, value),
    h("strong", { class: "ranked-share" }, share),
  );
}
