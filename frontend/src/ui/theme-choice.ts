/** The reader's choice of light or dark, which every page offers. */

import type { Store, ThemeChoice } from "../state/store";
import { segmented } from "./dom";
import type { Theme } from "./theme";

export function themeChoice<S extends { theme: ThemeChoice }>(store: Store<S>, theme: Theme): HTMLElement {
  const choice = segmented<ThemeChoice>(
    "Theme",
    [
      { value: "auto", label: "Auto" },
      { value: "light", label: "Light" },
      { value: "dark", label: "Dark" },
    ],
    (value) => store.set({ theme: value } as Partial<S>),
  );
  store.watch(["theme"], (state) => {
    choice.show(state.theme);
    theme.choose(state.theme);
  });
  return choice.element;
}
