/** Where a page is drawn: a shadow root with its own style, so that no styles leak in or out. */

import access from "../access.css";
import type { Palettes } from "../data/payload.generated";
import css from "../style.css";
import { Theme } from "./theme";

export interface Surface {
  readonly root: ShadowRoot;
  readonly theme: Theme;
  /** Aborted when the page is removed; ends listeners outside its element. */
  readonly signal: AbortSignal;
  /** Remove the page and all its listeners. */
  readonly destroy: () => void;
}

/** `more` are rules that only this kind of page has. */
export function surface(element: HTMLElement, palettes: Palettes, more = ""): Surface {
  const ending = new AbortController();
  const root = element.shadowRoot ?? element.attachShadow({ mode: "open" });
  const [rules, variables] = [new CSSStyleSheet(), new CSSStyleSheet()];
  rules.replaceSync(css + more + access);
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
