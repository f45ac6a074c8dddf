/** Keyboard shortcuts. */

import type { SinkMode } from "../data/matrices";
import type { Model } from "../data/model";
import type { Actions } from "./actions";
import { type KeyScope, listen } from "./keys";
import type { Scale, State, Store, ThemeChoice } from "./store";

/** What shortcuts act on. */
interface KeyboardTargets {
  readonly model: Model;
  readonly store: Store;
  readonly actions: Actions;
  readonly say: (words: string) => void;
  readonly bring: (drawer: string) => void;
  readonly signal: AbortSignal;
}

export interface KeyboardOptions extends KeyScope {
  readonly help: () => void;
}

const SINKS: readonly SinkMode[] = ["raw", "muted", "renormalized"];
const SCALES: readonly Scale[] = ["row", "head", "global"];
const THEMES: readonly ThemeChoice[] = ["auto", "light", "dark"];

export function listenToKeys(
  { model, store, actions, say, bring, signal }: KeyboardTargets,
  options: KeyboardOptions,
): void {
  const cycle = <K extends "sort" | "sinks" | "scale" | "theme">(
    key: K,
    values: readonly State[K][],
    name: string,
    words: readonly string[] = values,
  ) => {
    const next = (values.indexOf(store.state[key]) + 1) % values.length;
    store.set({ [key]: values[next] } as Partial<State>);
    say(`${name}: ${words[next]}`);
  };
  const { payload } = model;
  /** A layer, head or map is chosen where it is seen. */
  const seen = (act: () => void) => () => {
    if (!payload.attention.length) return;
    act();
    bring("attention");
  };
  const nextMap = seen(() => actions.showMap((store.state.map + 1) % payload.attention.length));
  const single: Record<string, () => void> = {
    "[": seen(() => actions.moveLayer(-1)),
    "]": seen(() => actions.moveLayer(1)),
    h: seen(() => actions.moveHead(1)),
    H: seen(() => actions.moveHead(-1)),
    m: () => payload.attention.length > 1 && nextMap(),
    a: () => model.choices > 1 && actions.showAttribution((store.state.attribution + 1) % model.choices),
    g: () => {
      actions.cycleLevel();
      say(`Granularity: ${store.state.level}s`);
    },
    o: () => cycle("sort", ["position", "size"], "Bar order", ["position", "magnitude"]),
    s: () => cycle("sinks", SINKS, "Attention sinks"),
    c: () => cycle("scale", SCALES, "Color scale"),
    z: () => store.set({ zoom: !store.state.zoom }),
    t: () => cycle("theme", THEMES, "Theme"),
    "/": () => options.root.querySelector<HTMLInputElement>(".search")?.focus(),
    "?": () => options.help(),
  };
  const moved = (event: KeyboardEvent, origin: Element): boolean => {
    // Without a selection, arrow keys scroll the page.
    const isView = !!origin.closest?.("[data-view]");
    if (!isView && store.state.focus < 0 && !/^Arrow(Left|Right)$/.test(event.key)) return false;
    switch (event.key) {
      case "ArrowLeft":
        actions.move(-1, event.shiftKey);
        return true;
      case "ArrowRight":
        actions.move(1, event.shiftKey);
        return true;
      case "ArrowUp":
      case "ArrowDown":
        if (!model.generation) {
          if (!isView) return false;
          actions.move(event.key === "ArrowUp" ? -1 : 1, event.shiftKey);
        } else actions.moveStep(event.key === "ArrowUp" ? -1 : 1);
        return true;
      case "Home":
      case "End":
        if (!isView) return false;
        actions.moveTo(event.key === "Home" ? "first" : "last", event.shiftKey);
        return true;
      default:
        return false;
    }
  };
  listen(
    options,
    {
      single,
      areOn: () => store.state.shortcuts,
      escape: () => {
        if (!actions.leaveContrast()) actions.unselect();
      },
      moved,
    },
    signal,
  );
}
