/** The view of a comparison as the fragment of the page's address. */

import type { ComparisonPayload } from "../data/payload.generated";
import { keepAddress } from "../state/permalink";
import type { Store } from "../state/store";
import type { ComparisonState } from "./state";

const NUMBERS = ["focus", "attribution", "level", "target", "map", "layer", "head", "row", "key"] as const;
const WORDS = {
  shown: ["difference", "scores"],
  sort: ["position", "size"],
  theme: ["auto", "light", "dark"],
} as const;
const KEYS = [...NUMBERS, ...(Object.keys(WORDS) as (keyof typeof WORDS)[]), "open"] as const;

export function fragmentOf(state: Readonly<ComparisonState>, initial: Readonly<ComparisonState>): string {
  return KEYS.filter((key) => state[key] !== initial[key])
    .map((key) => `${key}=${encodeURIComponent(String(state[key]))}`)
    .join("&");
}

/** Parse a fragment; unknown keys and values out of range are ignored. */
export function stateOf(
  fragment: string,
  initial: Readonly<ComparisonState>,
  payload: ComparisonPayload,
): ComparisonState {
  const params = new URLSearchParams(fragment.replace(/^#/, ""));
  const state: ComparisonState = { ...initial };
  for (const key of NUMBERS) {
    const value = params.get(key);
    if (value !== null && /^-?\d{1,9}$/.test(value)) state[key] = Number(value);
  }
  for (const [key, allowed] of Object.entries(WORDS)) {
    const value = params.get(key);
    if (value !== null && (allowed as readonly string[]).includes(value))
      Object.assign(state, { [key]: value });
  }
  const open = params.get("open");
  if (open !== null && /^[a-z.]*$/.test(open)) state.open = open;
  const within = (value: number, count: number, least: number) =>
    value >= least && value < Math.max(count, 1) ? value : least;
  state.focus = within(state.focus, payload.kinds.length, -1);
  state.attribution = within(state.attribution, payload.attributions.length, 0);
  const part = payload.attributions[state.attribution];
  state.level = within(state.level, part?.levels.length ?? 1, 0);
  state.target = within(state.target, part?.levels[0].targets.length ?? 1, 0);
  state.map = within(state.map, payload.attention.length, 0);
  const map = payload.attention[state.map];
  state.layer = within(state.layer, map?.layers.length ?? 0, -1);
  state.head = within(state.head, map?.heads.length ?? 0, -1);
  state.row = within(state.row, map?.rowLabels.length ?? 0, -1);
  state.key = within(state.key, map?.keyLabels.length ?? 0, -1);
  return state;
}

/** Keep the address in sync with the state, and follow manual changes to it. */
export function followAddress(
  store: Store<ComparisonState>,
  payload: ComparisonPayload,
  initial: Readonly<ComparisonState>,
  signal: AbortSignal,
): void {
  keepAddress(store, KEYS, {
    fragment: () => fragmentOf(store.state, initial),
    follow: () => store.set(stateOf(location.hash, initial, payload)),
    signal,
  });
}
