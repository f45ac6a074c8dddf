/** The page of a data set's summary, or of two runs. */

import type { DatasetComparisonPayload, DatasetPayload, Named } from "../data/payload.generated";
import type { MountOptions } from "../start";
import { Store } from "../state/store";
import { type Child, h } from "../ui/dom";
import { drawer, openToPrint } from "../ui/drawer";
import { bdi, list, note, table } from "../ui/parts";
import { surface } from "../ui/surface";
import { toast } from "../ui/toast";
import { Tooltip } from "../ui/tooltip";
import { helpDialog } from "../views/help";
import { followAddress, stateOf } from "./address";
import { cautionsView } from "./cautions";
import { comparedAbout, comparedView } from "./compared";
import { confusionView } from "./confusion";
import css from "./dataset.css";
import { distributionsView } from "./distributions";
import { figuresView, headerView } from "./header";
import { KEYS, listenToKeys } from "./keys";
import { overusedView } from "./overused";
import { repaint } from "./rows";
import { shortcutsView } from "./shortcuts";
import { slicesView } from "./slices";
import type { PageContext } from "./state";
import { trustView } from "./trust";
import { wordsView } from "./words";
import { wrongView } from "./wrong";

export function mountDataset(
  element: HTMLElement,
  payload: DatasetPayload | DatasetComparisonPayload,
  options: MountOptions,
): void {
  if (payload.schema !== 1)
    throw new Error(`Unsupported payload schema ${String(payload.schema)}: expected 1.`);
  const { root, theme, signal } = surface(element, payload.palette, css);
  const answers = payload.kind === "dataset" ? payload.answers.length : 1;
  const store = new Store(stateOf(options.wholePage ? location.hash : (options.view ?? ""), answers));
  const message = toast();
  const context: PageContext = {
    store,
    theme,
    tooltip: new Tooltip(),
    signed: payload.signed,
    measure: payload.measure,
    say: message.say,
  };
  const help = helpDialog(store, KEYS);
  const about = () => [
    payload.kind === "dataset" ? aboutView(payload, options.size) : comparedAbout(payload, options.size),
  ];
  const main = h(
    options.wholePage ? "main" : "div",
    { class: `report dataset${options.wholePage ? " whole" : ""}` },
    headerView(context, payload, help.toggle),
    ...(payload.kind === "dataset"
      ? summaryParts(context, payload, signal)
      : comparedView(context, payload, signal)),
    h(
      "div",
      { class: "drawers" },
      drawer(store, "about", "How to read this, and where it comes from", about),
    ),
  );
  root.replaceChildren(main, context.tooltip.element, message.element, help.element);
  theme.watch((colors) => repaint(root, colors, payload.signed));
  listenToKeys(store, { scope: options.wholePage ? document : root, root, help: help.toggle }, signal);
  openToPrint(store, root, signal);
  if (options.wholePage) followAddress(store, answers, signal);
}

function summaryParts(context: PageContext, payload: DatasetPayload, signal: AbortSignal): Child[] {
  return [
    figuresView(payload.figures),
    cautionsView(payload.notes),
    payload.answers.length > 0 && wordsView(context, payload, signal),
    shortcutsView(context, payload),
    wrongView(context, payload),
    overusedView(context, payload),
    slicesView(context, payload),
    confusionView(context, payload),
    distributionsView(context, payload),
    trustView(context, payload),
    errorsView(payload.errors),
  ];
}

function errorsView(errors: readonly Named[]): HTMLElement | null {
  if (!errors.length) return null;
  const lines = errors.map(({ name, value }) =>
    h("tr", {}, h("th", { scope: "row" }, bdi(name)), h("td", {}, value)),
  );
  return h(
    "section",
    { class: "part", "data-section": "errors", "aria-label": "Rows that failed" },
    h("h2", { tabindex: -1 }, "Rows that failed"),
    h("div", { class: "scroll" }, table(["why", "rows"], h("tbody", {}, ...lines), "pairs")),
  );
}

function aboutView({ howToRead, omitted, provenance }: DatasetPayload, size = ""): HTMLElement {
  return h(
    "div",
    { class: "about" },
    list(howToRead),
    omitted.length > 0 && h("h3", {}, "Omitted from this page"),
    omitted.length > 0 && list(omitted),
    h("h3", {}, "Provenance"),
    h(
      "dl",
      { class: "provenance" },
      ...provenance.map(({ name, value }) => h("div", {}, h("dt", {}, name), h("dd", {}, bdi(value)))),
    ),
    size && h("p", { class: "note", "data-role": "page-size" }, `Page size: ${size}.`),
    note("Made with model-understanding. This page loads nothing from the network."),
  );
}
