/** What can be taken out of a view: picture, numbers, code. */

import type { Context } from "../context";
import { h } from "../dom";
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

export function exportMenu(context: Context, view: string, exported: () => Exported | null): HTMLElement {
  const { say } = context;
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
            if (!given) return say("There is nothing to export yet.");
            try {
              await act(given);
            } catch (error) {
              say(`Could not export: ${error instanceof Error ? error.message : String(error)}`);
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

/** Put text on the clipboard, also where a page from a file may not ask for it. */
export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { readonly: true, "aria-hidden": "true" });
    area.value = text;
    area.style.position = "fixed";
    area.style.opacity = "0";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) throw new Error("The browser does not let this page copy.");
  }
}

function save(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = h("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
