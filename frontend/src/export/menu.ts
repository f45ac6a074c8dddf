/** The export menu of a view: figure, data, code. */

import { scenePng } from "../scene/canvas";
import type { Scene } from "../scene/scene";
import { sceneSvg } from "../scene/svg";
import { copy } from "../ui/clipboard";
import { h } from "../ui/dom";
import { keepInWindow } from "../ui/menu";

export interface Exported {
  /** The file name without its extension. */
  readonly name: string;
  readonly scene: () => Scene;
  readonly csv: () => string;
  readonly json: () => unknown;
  /** Code that computes it; a menu without it does not offer it. */
  readonly python?: () => string;
  /** The command that computes it; a menu without one does not offer it. */
  readonly command?: () => string;
}

const PNG_RATIO = 2;

export function exportMenu(
  say: (words: string) => void,
  view: string,
  exported: () => Exported | null | undefined,
  face = "Export",
  hasCommand = false,
  hasPython = true,
): HTMLElement {
  const menu = h("details", { class: "menu" });
  const item = (words: string, run: (content: Exported) => void | Promise<void>) =>
    h(
      "button",
      {
        type: "button",
        on: {
          click: async () => {
            menu.open = false;
            menu.querySelector("summary")!.focus();
            const content = exported();
            if (!content) return say("Nothing to export yet.");
            try {
              await run(content);
            } catch (error) {
              say(`Export failed: ${error instanceof Error ? error.message : String(error)}`);
            }
            return undefined;
          },
        },
      },
      words,
    );
  const items = h(
    "div",
    { class: "menu-items", role: "group", "aria-label": `Export ${view.toLowerCase()} as` },
    item("SVG", (content) =>
      save(`${content.name}.svg`, new Blob([sceneSvg(content.scene())], { type: "image/svg+xml" })),
    ),
    item("PNG at 2×", async (content) =>
      save(`${content.name}.png`, await scenePng(content.scene(), PNG_RATIO)),
    ),
    item("CSV", (content) => save(`${content.name}.csv`, new Blob([content.csv()], { type: "text/csv" }))),
    item("JSON", (content) =>
      save(
        `${content.name}.json`,
        new Blob([`${JSON.stringify(content.json(), null, 1)}\n`], { type: "application/json" }),
      ),
    ),
    hasPython &&
      item("Copy as Python", async (content) => {
        const code = content.python?.();
        if (!code) return say("Computed elsewhere: there is no code for it");
        await copy(code);
        return say("Copied as Python");
      }),
    hasCommand &&
      item("Copy as command", async (content) => {
        const command = content.command?.();
        if (!command) return say("This view has no command: copy it as Python");
        await copy(command);
        return say("Copied as command");
      }),
  );
  menu.append(h("summary", { class: "plain", "aria-label": `Export ${view.toLowerCase()}` }, face), items);
  keepInWindow(menu, items);
  menu.addEventListener("focusout", (event) => {
    if (!menu.contains(event.relatedTarget as Node | null)) menu.open = false;
  });
  return menu;
}

export function save(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = h("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
