/** Closed sections of a page, which draw what they hold when they are first opened. */

import type { Store } from "../state/store";
import { type Child, h, replace } from "./dom";

/**
 * A closed section. Its content is built when it is first opened, so that views find their sizes; later it is
 * kept. The state names the open drawers, so that links and saved views open them too.
 */
export function drawer<S extends { open: string }>(
  store: Store<S>,
  name: string,
  title: string,
  build: () => readonly Child[],
): HTMLDetailsElement {
  const content = h("div", { class: "drawer-content" });
  const element = h(
    "details",
    { class: `drawer ${name}-drawer`, "data-drawer": name },
    h("summary", {}, h("h2", {}, title)),
    content,
  );
  let isBuilt = false;
  const fill = () => {
    if (isBuilt || !element.open) return;
    isBuilt = true;
    replace(content, ...build());
  };
  element.addEventListener("toggle", () => {
    fill();
    const others = namesOf(store.state).filter((other) => other !== name);
    store.set({ open: [...others, ...(element.open ? [name] : [])].sort().join(".") } as Partial<S>);
  });
  store.watch(["open"], (state) => {
    element.open = namesOf(state).includes(name);
    fill();
  });
  return element;
}

/** Open a drawer of a page and bring it into view; if it was open, what it draws. */
export function bring(within: ParentNode, name: string): void {
  const element = within.querySelector<HTMLDetailsElement>(`[data-drawer="${name}"]`);
  if (!element) return;
  const smooth = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  const behavior = smooth ? "smooth" : "auto";
  const drawn = element.open && element.querySelector("[data-view]");
  element.open = true;
  element.dispatchEvent(new Event("toggle"));
  if (drawn) drawn.scrollIntoView({ block: "nearest", behavior });
  else element.scrollIntoView({ block: "start", behavior });
}

function namesOf({ open }: { open: string }): string[] {
  return open.split(".").filter(Boolean);
}
