/** The keyboard of a data set's page. */

import type { Store } from "../state/store";
import type { PageState } from "./state";

export const KEYS: readonly (readonly [string, string])[] = [
  ["↑ ↓", "previous or next word of the table"],
  ["Home End", "first or last word"],
  ["w", "switch between words and phrases"],
  ["t", "theme: auto, light or dark"],
  ["/", "search the words"],
  ["Esc", "clear the search and the selection, close menus"],
  ["?", "show this help"],
];

export function listenToKeys(
  store: Store<PageState>,
  { scope, root, help }: { scope: EventTarget; root: ShadowRoot; help: () => void },
  signal: AbortSignal,
): void {
  const themes = ["auto", "light", "dark"] as const;
  const acts: Record<string, () => void> = {
    w: () => store.set({ kind: store.state.kind === "words" ? "phrases" : "words", word: "" }),
    t: () => store.set({ theme: themes[(themes.indexOf(store.state.theme) + 1) % themes.length] }),
    "/": () => root.querySelector<HTMLInputElement>(".search")?.focus(),
    "?": help,
  };
  scope.addEventListener(
    "keydown",
    (keydown) => {
      const event = keydown as KeyboardEvent;
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (root.querySelector("dialog[open]")) return;
      const origin = event.composedPath()[0] as HTMLElement;
      if (event.key === "Escape") {
        for (const menu of root.querySelectorAll<HTMLDetailsElement>("details.menu[open]")) menu.open = false;
        store.set({ word: "", cell: "", search: "" });
        if (origin.matches?.("input")) origin.blur();
        return;
      }
      if (origin.matches?.("input, select, textarea") || !store.state.shortcuts) return;
      const act = acts[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    },
    { signal },
  );
}
