/** Shared by all parts of a ledger's page: the state, and its address. */

import { clamp } from "../data/clamp";
import type { LedgerAxis, LedgerMap, LedgerPayload } from "../data/payload.generated";
import { keepAddress } from "../state/permalink";
import type { Store, ThemeChoice } from "../state/store";
import type { Theme } from "../ui/theme";
import type { Tooltip } from "../ui/tooltip";

export interface PageState {
  /** The map that is shown. */
  map: number;
  /** The selected cell: its row from the first layer, and its column; -1 for none. */
  row: number;
  column: number;
  /** The token under the pointer, in a text or on the map; -1 for none. */
  hover: number;
  /** Whether every column is drawn by itself. */
  all: boolean;
  open: string;
  search: string;
  theme: ThemeChoice;
  shortcuts: boolean;
}

/** What every part of a page works with. */
export interface PageContext {
  readonly payload: LedgerPayload;
  readonly store: Store<PageState>;
  readonly theme: Theme;
  readonly tooltip: Tooltip;
  readonly say: (words: string) => void;
  readonly signal: AbortSignal;
}

/** A page opens with the place that most of the difference passes. */
export function openingState({ maps }: LedgerPayload): PageState {
  const [first] = maps[0]?.ranked ?? [];
  return {
    map: 0,
    row: first?.row ?? -1,
    column: first?.column ?? -1,
    hover: -1,
    all: false,
    open: "",
    search: "",
    theme: "auto",
    shortcuts: true,
  };
}

export function axisOf(payload: LedgerPayload, map: LedgerMap): LedgerAxis {
  return payload.axes[map.axis];
}

/** The state after another map is chosen: of the same columns, the selection stays. */
export function withMap(
  payload: LedgerPayload,
  state: Readonly<PageState>,
  index: number,
): Partial<PageState> {
  const [before, next] = [payload.maps[state.map], payload.maps[index]];
  if (before.axis === next.axis) return { map: index, row: Math.min(state.row, next.rows.length - 1) };
  const [first] = next.ranked;
  return { map: index, row: first.row, column: first.column, hover: -1 };
}

/** Columns as they are drawn, each with its first and its last one. */
export function spansOf(axis: LedgerAxis, all: boolean): (readonly [number, number])[] {
  if (all) return axis.names.map((_, column) => [column, column] as const);
  return Array.from(
    { length: axis.drawn.length / 2 },
    (_, index) => [axis.drawn[2 * index], axis.drawn[2 * index + 1]] as const,
  );
}

/** Which of the drawn columns holds a column; -1 for none. */
export function spanAt(spans: readonly (readonly [number, number])[], column: number): number {
  return spans.findIndex(([first, last]) => first <= column && column <= last);
}

const NUMBERS = ["map", "row", "column"] as const;
const KEYS = [...NUMBERS, "all", "theme", "open"] as const;

export function fragmentOf(state: Readonly<PageState>, initial: Readonly<PageState>): string {
  return KEYS.filter((key) => state[key] !== initial[key])
    .map((key) => `${key}=${encodeURIComponent(String(state[key]))}`)
    .join("&");
}

/** Parse a fragment; unknown keys and values that do not fit are ignored. */
export function stateOf(fragment: string, payload: LedgerPayload): PageState {
  const params = new URLSearchParams(fragment.replace(/^#/, ""));
  const state = openingState(payload);
  if (!payload.maps.length) return state;
  const given = (key: string, most: number): number | null => {
    const value = params.get(key);
    return value !== null && /^\d{1,6}$/.test(value) ? clamp(Number(value), 0, most) : null;
  };
  const map = given("map", payload.maps.length - 1);
  if (map !== null) Object.assign(state, withMap(payload, state, map));
  const shown = payload.maps[state.map];
  state.row = given("row", shown.rows.length - 1) ?? state.row;
  state.column = given("column", axisOf(payload, shown).names.length - 1) ?? state.column;
  state.all = params.get("all") === "true";
  const theme = params.get("theme");
  if (theme === "light" || theme === "dark") state.theme = theme;
  const open = params.get("open");
  if (open !== null && /^[a-z.]*$/.test(open)) state.open = open;
  return state;
}

/** Keep the address in sync with the state, and follow manual changes to it. */
export function followAddress({ payload, store, signal }: PageContext): void {
  const initial = openingState(payload);
  keepAddress(store, KEYS, {
    fragment: () => fragmentOf(store.state, initial),
    follow: () => store.set(stateOf(location.hash, payload)),
    signal,
  });
}
