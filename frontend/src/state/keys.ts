/** Listens for keys as every page does: none within a dialog, single keys not while something is typed. */

export interface Keys {
  /** What a single key does; nothing while shortcuts are switched off. */
  readonly single: Readonly<Record<string, () => void>>;
  readonly areOn: () => boolean;
  /** What Escape does, once the menus are closed. */
  readonly escape: () => void;
  /** Moves by arrow keys, Home and End; whether it did. */
  readonly moved?: (event: KeyboardEvent, origin: Element) => boolean;
}

export interface KeyScope {
  /** Listens for keys: the document, or only the report if it shares the page. */
  readonly scope: EventTarget;
  readonly root: ShadowRoot;
}

export function listen({ scope, root }: KeyScope, keys: Keys, signal: AbortSignal): void {
  scope.addEventListener(
    "keydown",
    (keydown) => {
      const event = keydown as KeyboardEvent;
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (root.querySelector("dialog[open]")) return;
      const origin = event.composedPath()[0] as HTMLElement;
      if (event.key === "Escape") {
        for (const menu of root.querySelectorAll<HTMLDetailsElement>("details.menu[open]")) menu.open = false;
        keys.escape();
        if (origin.matches?.("input")) origin.blur();
        return;
      }
      if (origin.matches?.("input, select, textarea")) return;
      const act = keys.areOn() ? keys.single[event.key] : undefined;
      if (!keys.moved?.(event, origin) && !act) return;
      event.preventDefault();
      act?.();
    },
    { signal },
  );
}
