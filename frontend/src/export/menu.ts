/** What can be taken out of a view: picture, numbers, code. */

import { copy } from "../ui/clipboard";
import { h } from "../ui/dom";
import { type Scene, scenePng, sceneSvg } from "./scene";

export interface Exported {
  /** What the files are called. */
  readonly name: string;
  readonly scene: () => Scene;
  readonly csv: () => string;
  readonly json: () => unknown;
  readonly python: () => string;
}

const PNG_RATIO = 2;

export function exportMenu(
  say: (words: string) => void,
  view: string,
  exported: () => Exported | null,
): HTMLElement {
  const menu = h("details", { class: "menu" });
  const item = (words: string, act: (given: Exported) => void | Promise<void>) =>
    h(
      "button",
      {
        type: "button",
        on: {
          click: async () => {
            menu.open = false;
            menu.querySelector("summary")!.focus();
            const given = exported();
            if (!given) return say("Nothing to export yet.");
            try {
              await act(given);
            } catch (error) {
              say(`Export failed: ${error instanceof Error ? error.message : String(error)}`);
            }
            return undefined;
          },
        },
      },
      words,
    );
  menu.append(
    h("summary", { class: "plain", "aria-label": `Export ${view.toLowerCase()}` }, "Export"),
    h(
      "div",
      { class: "menu-items", role: "group", "aria-label": `Export ${view.toLowerCase()} as` },
      item("SVG", (given) =>
        save(`${given.name}.svg`, new Blob([sceneSvg(given.scene())], { type: "image/svg+xml" })),
      ),
      item("PNG at 2×", async (given) => save(`${given.name}.png`, await scenePng(given.scene(), PNG_RATIO))),
      item("CSV", (given) => save(`${given.name}.csv`, new Blob([given.csv()], { type: "text/csv" }))),
      item("JSON", (given) =>
        save(
          `${given.name}.json`,
          new Blob([`${JSON.stringify(given.json(), null, 1)}\n`], { type: "application/json" }),
        ),
      ),
      item("Copy as Python", async (given) => {
        await copy(given.python());
        say("Copied as Python");
      }),
    ),
  );
  menu.addEventListener("focusout", (event) => {
    if (!menu.contains(event.relatedTarget as Node | null)) menu.open = false;
  });
  return menu;
}

function save(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = h("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
