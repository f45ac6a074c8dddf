/** The keyboard of a data set's page. */

import { listen } from "../state/keys";
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
  const single: Record<string, () => void> = {
    w: () => store.set({ kind: store.state.kind === "words" ? "phrases" : "words", word: "" }),
    t: () => store.set({ theme: themes[(themes.indexOf(store.state.theme) + 1) % themes.length] }),
    "/": () => root.querySelector<HTMLInputElement>(".search")?.focus(),
    "?": help,
  };
  listen(
    { scope, root },
    {
      single,
      areOn: () => store.state.shortcuts,
      escape: () => store.set({ word: "", cell: "", search: "" }),
    },
    signal,
  );
}
