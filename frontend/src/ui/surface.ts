/** Where a page is drawn: a shadow root with the one style, so that nothing leaks in or out. */

import type { Palettes } from "../data/payload.generated";
import css from "../style.css";
import { Theme } from "./theme";

export interface Surface {
  readonly root: ShadowRoot;
  readonly theme: Theme;
  /** Ends with the page: what listens beyond its element hangs on it. */
  readonly signal: AbortSignal;
  /** Take the page out and stop everything that it listens to. */
  readonly destroy: () => void;
}

export function surface(element: HTMLElement, palettes: Palettes): Surface {
  const ending = new AbortController();
  const root = element.shadowRoot ?? element.attachShadow({ mode: "open" });
  const [rules, variables] = [new CSSStyleSheet(), new CSSStyleSheet()];
  rules.replaceSync(css);
  root.adoptedStyleSheets = [variables, rules];
  return {
    root,
    theme: new Theme(palettes, element, variables, ending.signal),
    signal: ending.signal,
    destroy: () => {
      ending.abort();
      root.replaceChildren();
      root.adoptedStyleSheets = [];
    },
  };
}
