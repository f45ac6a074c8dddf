/** Closed sections of a page, which draw what they hold when they are first opened. */

import type { Store } from "../state/store";
import { type Child, h, replace } from "./dom";
import { onPrint } from "./print";

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
  let isNamed = false;
  const fill = () => {
    if (isBuilt || !element.open) return;
    isBuilt = true;
    replace(content, ...build());
  };
  element.addEventListener("toggle", () => {
    fill();
    isNamed = element.open;
    const others = namesOf(store.state).filter((other) => other !== name);
    store.set({ open: [...others, ...(isNamed ? [name] : [])].sort().join(".") } as Partial<S>);
  });
  store.watch(["open"], (state) => {
    const isWanted = namesOf(state).includes(name);
    if (isWanted === isNamed) return; // the name of another drawer changed
    isNamed = isWanted;
    element.open = isWanted;
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

/** Open all drawers of a page while it is printed. */
export function openToPrint<S extends { open: string }>(
  store: Store<S>,
  within: ParentNode,
  signal: AbortSignal,
): void {
  let before = "";
  onPrint((isPrinting) => {
    if (isPrinting) before = store.state.open;
    const all = [...within.querySelectorAll<HTMLElement>("[data-drawer]")].map((item) => item.dataset.drawer);
    store.set({ open: isPrinting ? all.sort().join(".") : before } as Partial<S>);
  }, signal);
}

function namesOf({ open }: { open: string }): string[] {
  return open.split(".").filter(Boolean);
}
