/** How exact a ledger is, how it is computed again, and how to read it. */

import type { LedgerPayload } from "../data/payload.generated";
import { copy } from "../ui/clipboard";
import { type Child, h } from "../ui/dom";
import { bdi, button, list, note, table } from "../ui/parts";
import type { PageContext } from "./state";

export function gapsView({ kind, gap, gaps }: LedgerPayload): Child[] {
  const words = `${gap[0].toUpperCase()}${gap.slice(1)}`;
  if (kind === "ledger")
    return [
      note(`${words}: what a row of hidden states leaves of the difference at most, as a share of it.`),
    ];
  const lines = gaps.map(({ name, sum, gap: part }) =>
    h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, sum), h("td", {}, part)),
  );
  return [
    note(`${words}: what all modules leave of the difference, as a share of it.`),
    h("div", { class: "scroll" }, table(["what", "sum", "gap"], h("tbody", {}, ...lines), "pairs")),
  ];
}

export function restoredView({ restored }: LedgerPayload): Child[] {
  return [namedValues(restored)];
}

function namedValues(rows: LedgerPayload["provenance"]): HTMLElement {
  return h(
    "dl",
    { class: "provenance" },
    ...rows.map(({ name, value }) => h("div", {}, h("dt", {}, name), h("dd", {}, bdi(value)))),
  );
}

export function codeView({ payload, say }: PageContext): Child[] {
  const part = (name: string, code: string) =>
    h(
      "div",
      { class: "code-part" },
      h("h3", {}, name),
      h("pre", { tabindex: 0, "aria-label": name }, h("code", {}, code)),
      button("Copy", async () => {
        await copy(code);
        say(`Copied as ${name.toLowerCase()}`);
      }),
    );
  return [
    payload.command && part("Command", payload.command),
    payload.python && part("Python", payload.python),
  ];
}

export function aboutView({ howToRead, provenance }: LedgerPayload, size = ""): Child[] {
  return [
    h(
      "div",
      { class: "about" },
      list(howToRead),
      h("h3", {}, "Provenance"),
      namedValues(provenance),
      size && h("p", { class: "note", "data-role": "page-size" }, `Page size: ${size}.`),
      note("Made with model-understanding. This page loads nothing from the network."),
    ),
  ];
}
