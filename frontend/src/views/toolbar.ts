/** What the whole report offers: search, a copy of the page in this view, theme, help. */

import type { Store, ThemeChoice } from "../state/store";
import { h } from "../ui/dom";
import { counted } from "../ui/format";
import { keepInWindow } from "../ui/menu";
import { bdi, button } from "../ui/parts";
import type { Theme } from "../ui/theme";
import { themeChoice } from "../ui/theme-choice";

interface Searched {
  search: string;
  theme: ThemeChoice;
}

/** What a toolbar belongs to. */
export interface ToolbarPage<S extends Searched> {
  readonly store: Store<S>;
  readonly theme: Theme;
  /** What the page is of, in a few words. */
  readonly origin: string;
  /** Select the next match of a text, or the one before; returns the number of matches. */
  readonly find?: (text: string, by: number) => number;
}

export interface ToolbarOptions {
  readonly help: () => void;
  /** Save a copy of the page that opens in this view; null where there is no page to copy. */
  readonly save: (() => void) | null;
}

export function toolbar<S extends Searched>(
  page: ToolbarPage<S>,
  { help, save }: ToolbarOptions,
): HTMLElement {
  const { store, theme } = page;
  const menu = h("details", { class: "menu" });
  const item = (words: string, act: () => void) =>
    h(
      "button",
      {
        type: "button",
        on: {
          click: () => {
            menu.open = false;
            act();
          },
        },
      },
      words,
    );
  const items = h(
    "div",
    { class: "menu-items" },
    themeChoice(store, theme),
    save && item("Save this view", save),
    item("Help and keyboard shortcuts", help),
  );
  menu.append(h("summary", { class: "plain", "aria-label": "Menu: theme, save, help" }, "⋯"), items);
  keepInWindow(menu, items);
  menu.addEventListener("focusout", (event) => {
    const next = event.relatedTarget as Node | null;
    if (next && !menu.contains(next)) menu.open = false;
  });
  return h(
    "div",
    { class: "toolbar" },
    h("p", { class: "kicker" }, bdi(page.origin)),
    page.find ? searchBox(store, page.find) : null,
    save && h("span", { class: "wide-only" }, button("Save this view", save)),
    menu,
  );
}

function searchBox<S extends Searched>(
  store: Store<S>,
  find: (text: string, by: number) => number,
): HTMLElement {
  const count = h("span", { class: "note", role: "status" });
  const run = (by: number) => {
    const matchCount = find(input.value, by);
    count.textContent = input.value.trim() ? counted(matchCount, "match", "matches") : "";
  };
  const input = h("input", {
    type: "search",
    class: "search",
    placeholder: "Search the text",
    "aria-label": "Search the text",
    on: {
      input: () => run(0),
      keydown: (event) => {
        if (event.key === "Enter") {
          event.preventDefault();
          run(event.shiftKey ? -1 : 1);
        }
      },
    },
  });
  store.watch(["search"], (state) => {
    if (state.search || !input.value) return;
    input.value = "";
    count.textContent = "";
  });
  return h("div", { class: "search-box", role: "search" }, count, input);
}
