/** The view of a data set's page as the fragment of its address, so that a word can be linked. */

import { keepAddress } from "../state/permalink";
import type { Store } from "../state/store";
import { INITIAL, type PageState } from "./state";

const WORDS = {
  kind: ["words", "phrases"],
  order: ["up", "down"],
  theme: ["auto", "light", "dark"],
} as const;
const TEXTS = {
  word: /^[\s\S]{0,300}$/,
  sort: /^[a-z]{0,20}$/,
  cell: /^(\d{1,5}-\d{1,5})?$/,
  open: /^[a-z.]*$/,
} as const;
const KEYS = [
  "answer",
  ...(Object.keys(WORDS) as (keyof typeof WORDS)[]),
  ...(Object.keys(TEXTS) as (keyof typeof TEXTS)[]),
] as const;

export function fragmentOf(state: Readonly<PageState>): string {
  return KEYS.filter((key) => state[key] !== INITIAL[key])
    .map((key) => `${key}=${encodeURIComponent(String(state[key]))}`)
    .join("&");
}

/** Parse a fragment; unknown keys and values that do not fit are ignored. */
export function stateOf(fragment: string, answers: number): PageState {
  const params = new URLSearchParams(fragment.replace(/^#/, ""));
  const state: PageState = { ...INITIAL };
  const answer = params.get("answer") ?? "";
  if (/^\d{1,6}$/.test(answer) && Number(answer) < answers) state.answer = Number(answer);
  for (const [key, allowed] of Object.entries(WORDS)) {
    const value = params.get(key);
    if (value !== null && (allowed as readonly string[]).includes(value))
      Object.assign(state, { [key]: value });
  }
  for (const [key, allowed] of Object.entries(TEXTS)) {
    const value = params.get(key);
    if (value !== null && allowed.test(value)) Object.assign(state, { [key]: value });
  }
  return state;
}

/** Keep the address in sync with the state, and follow manual changes to it. */
export function followAddress(store: Store<PageState>, answers: number, signal: AbortSignal): void {
  keepAddress(store, KEYS, {
    fragment: () => fragmentOf(store.state),
    follow: () => store.set(stateOf(location.hash, answers)),
    signal,
  });
}
