/** The view as the fragment of the page's address, which also works for files. */

import type { Model } from "../data/model";
import type { Key, State, Store } from "./store";
import { OPENING_SIZE, SIZES } from "./window";

type Kept = Exclude<Key, "hover" | "pinned" | "search" | "shortcuts">;
const NUMBERS = [
  "anchor",
  "focus",
  "attribution",
  "target",
  "targetEnd",
  "map",
  "layer",
  "head",
  "zoomRow",
  "zoomKey",
  "zoomSize",
  "ranking",
  "topHeads",
] as const;
const WORDS = {
  level: ["token", "word", "sentence"],
  sort: ["position", "size"],
  sinks: ["raw", "muted", "renormalized"],
  scale: ["row", "head", "global"],
  theme: ["auto", "light", "dark"],
} as const;

/** Return the difference from the state a report opens with. */
export function fragmentOf(state: Readonly<State>, initial: Readonly<State>): string {
  const parts: string[] = [];
  const keys: Kept[] = [...NUMBERS, ...(Object.keys(WORDS) as (keyof typeof WORDS)[]), "zoom", "open"];
  const moved = state.anchor !== initial.anchor || state.focus !== initial.focus;
  for (const key of keys) {
    const isSelection = key === "anchor" || key === "focus";
    if (isSelection ? moved : state[key] !== initial[key])
      parts.push(`${key}=${encodeURIComponent(String(state[key]))}`);
  }
  return parts.join("&");
}

/** Parse a fragment; unknown keys and invalid values are ignored. */
export function stateOf(fragment: string, initial: Readonly<State>, model: Model): Partial<State> {
  const params = new URLSearchParams(fragment.replace(/^#/, ""));
  const patch: Record<string, unknown> = {};
  for (const key of NUMBERS) {
    const value = params.get(key);
    if (value !== null && /^-?\d{1,9}$/.test(value)) patch[key] = Number(value);
  }
  for (const [key, allowed] of Object.entries(WORDS)) {
    const value = params.get(key);
    if (value !== null && (allowed as readonly string[]).includes(value)) patch[key] = value;
  }
  if (params.get("zoom")) patch.zoom = params.get("zoom") === "true";
  const open = params.get("open");
  if (open !== null && /^[a-z.]*$/.test(open)) patch.open = open;
  return fitting({ ...initial, ...(patch as Partial<State>) }, model);
}

/** Return a state with every number in its range. */
export function fitting(state: State, model: Model): State {
  const { payload } = model;
  const within = (value: number, count: number, min = 0) =>
    Number.isInteger(value) && value >= min && value < Math.max(count, 1) ? value : min;
  const attribution = within(state.attribution, payload.attributions.length);
  const targets = payload.attributions[attribution]?.targets.length ?? 1;
  const target = within(state.target, targets);
  const map = within(state.map, payload.attention.length);
  const part = payload.attention[map];
  const heads = part?.heads.length ?? 1;
  const tokens = model.table({ ...state, attribution }).labels.length;
  const focus = within(state.focus, tokens, -1);
  const anchor = focus < 0 ? -1 : within(state.anchor, tokens, -1);
  return {
    ...state,
    attribution,
    target,
    targetEnd: Math.max(within(state.targetEnd, targets), target),
    map,
    layer: within(state.layer, part?.layers.length ?? 1),
    head: heads > 1 ? within(state.head, heads, -1) : 0,
    anchor: anchor < 0 ? focus : anchor,
    focus,
    zoomRow: within(state.zoomRow, tokens),
    zoomKey: within(state.zoomKey, tokens),
    zoomSize: SIZES.includes(state.zoomSize) ? state.zoomSize : OPENING_SIZE,
    ranking: within(state.ranking, payload.heads ? payload.heads.names.length + 1 : 4),
    topHeads: within(state.topHeads, 10_000),
    pinned: focus >= 0,
  };
}

/** Keep the address in sync with the state, and follow manual changes to it. */
export function followAddress(
  store: Store,
  model: Model,
  initial: Readonly<State>,
  signal: AbortSignal,
): void {
  const keys: Key[] = [...NUMBERS, ...(Object.keys(WORDS) as (keyof typeof WORDS)[]), "zoom", "open"];
  keepAddress(store, keys, {
    fragment: () => fragmentOf(store.state, initial),
    follow: () => store.set(stateOf(location.hash, initial, model)),
    signal,
  });
}

/** Write a fragment to the address whenever some keys of a state change, and follow manual changes to it. */
export function keepAddress<S extends object>(
  store: Store<S>,
  keys: readonly (keyof S)[],
  { fragment, follow, signal }: { fragment: () => string; follow: () => void; signal: AbortSignal },
): void {
  let timer = 0;
  addEventListener("hashchange", follow, { signal });
  store.watch(keys, () => {
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      const written = fragment();
      if (written === location.hash.slice(1)) return;
      try {
        history.replaceState(null, "", written ? `#${written}` : location.pathname + location.search);
      } catch {
        location.replace(`#${written}`);
      }
    }, 150);
  });
}
