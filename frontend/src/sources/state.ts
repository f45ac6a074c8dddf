/** Shared by all parts of an answer map's page: the state, its address, and what is lit in it. */

import type { AnswerMapPayload } from "../data/payload.generated";
import { keepAddress } from "../state/permalink";
import type { Store, ThemeChoice } from "../state/store";
import type { Theme } from "../ui/theme";
import type { Tooltip } from "../ui/tooltip";

export interface PageState {
  /** The selected statement and the selected source; -1 for none. Both: a cell of the table. */
  statement: number;
  source: number;
  /** What the pointer is on, or the keyboard: it counts until it is left. */
  overStatement: number;
  overSource: number;
  /** A sentence of a source, by its row in the effects. */
  overRow: number;
  /** Whether the table has every source. */
  all: boolean;
  open: string;
  search: string;
  theme: ThemeChoice;
  shortcuts: boolean;
}

export const INITIAL: PageState = {
  statement: -1,
  source: -1,
  overStatement: -1,
  overSource: -1,
  overRow: -1,
  all: false,
  open: "",
  search: "",
  theme: "auto",
  shortcuts: true,
};

/** What every part of a page works with. */
export interface PageContext {
  readonly payload: AnswerMapPayload;
  readonly store: Store<PageState>;
  readonly theme: Theme;
  readonly tooltip: Tooltip;
  readonly say: (words: string) => void;
  readonly signal: AbortSignal;
}

export const LIT = ["statement", "source", "overStatement", "overSource", "overRow"] as const;

/** What is lit: whose effects color the answer, which statement those of sentences are on, and who is linked. */
export interface Lit {
  /** The effect of what on each word. */
  readonly words: readonly number[];
  /** The statement whose effects color the sentences; -1 for the largest of any. */
  readonly statement: number;
  /** The source whose effects color the answer; -1 for all together. */
  readonly source: number;
  readonly statements: ReadonlySet<number>;
  readonly sources: ReadonlySet<number>;
}

export function litBy(payload: AnswerMapPayload, state: Readonly<PageState>): Lit {
  const { statements, sources, words } = payload;
  const isOverStatement = state.overStatement >= 0;
  const source = state.overSource >= 0 ? state.overSource : isOverStatement ? -1 : state.source;
  const statement = isOverStatement ? state.overStatement : state.overSource >= 0 ? -1 : state.statement;
  const linked = statement >= 0 ? statements[statement].sources : [];
  const own = source >= 0 ? sources[source].statements : [];
  return {
    // An estimate is of a statement, not of its words.
    words: words.sentences[state.overRow] ?? (source >= 0 ? words.sources[source] : words.all),
    statement: statement >= 0 ? statement : state.statement,
    source,
    statements: new Set(statement >= 0 ? [statement] : own),
    sources: new Set(source >= 0 ? [source] : linked),
  };
}

/** The effect of a sentence on a statement, or its largest on any. */
export function sentenceEffect({ statements }: AnswerMapPayload, row: number, statement: number): number {
  if (row < 0) return 0;
  if (statement >= 0) return statements[statement].sentences[row];
  return Math.max(0, ...statements.map((each) => each.sentences[row]));
}

/** Whether a sentence's effects are estimates: it was not removed by itself. */
export function isEstimate({ words }: AnswerMapPayload, row: number): boolean {
  return row >= words.sentences.length;
}

/** Select, or unselect what is selected already. */
export function select(store: Store<PageState>, statement: number, source: number): void {
  const { state } = store;
  const isSame = state.statement === statement && state.source === source;
  store.set(isSame ? { statement: -1, source: -1 } : { statement, source });
}

const KEYS = ["statement", "source", "all", "theme", "open"] as const;

export function fragmentOf(state: Readonly<PageState>): string {
  return KEYS.filter((key) => state[key] !== INITIAL[key])
    .map((key) => `${key}=${encodeURIComponent(String(state[key]))}`)
    .join("&");
}

/** Parse a fragment; unknown keys and values that do not fit are ignored. */
export function stateOf(fragment: string, payload: AnswerMapPayload): PageState {
  const params = new URLSearchParams(fragment.replace(/^#/, ""));
  const state = { ...INITIAL };
  const given = (key: string, count: number): number => {
    const value = params.get(key);
    return value !== null && /^\d{1,6}$/.test(value) && Number(value) < count ? Number(value) : -1;
  };
  state.statement = given("statement", payload.statements.length);
  state.source = given("source", payload.sources.length);
  state.all = params.get("all") === "true";
  const theme = params.get("theme");
  if (theme === "light" || theme === "dark") state.theme = theme;
  const open = params.get("open");
  if (open !== null && /^[a-z.]*$/.test(open)) state.open = open;
  return state;
}

/** Keep the address in sync with the state, and follow manual changes to it. */
export function followAddress({ payload, store, signal }: PageContext): void {
  keepAddress(store, KEYS, {
    fragment: () => fragmentOf(store.state),
    follow: () => store.set(stateOf(location.hash, payload)),
    signal,
  });
}
