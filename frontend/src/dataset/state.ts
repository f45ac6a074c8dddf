/** Shared by all parts of a data set's page: the state, and how a word is compared with those of a text. */

import type { Store, ThemeChoice } from "../state/store";
import type { Theme } from "../ui/theme";
import type { Tooltip } from "../ui/tooltip";
import type { Direction } from "./order";

export interface PageState {
  /** Which words are listed: of which answer, single ones or phrases. */
  answer: number;
  kind: "words" | "phrases";
  /** The selected word, empty for none. */
  word: string;
  /** The column by which words are ordered, and how. */
  sort: string;
  order: Direction;
  search: string;
  /** The selected cell of the confusion matrix, as `right class-answer`; empty for none. */
  cell: string;
  open: string;
  theme: ThemeChoice;
  shortcuts: boolean;
}

export const INITIAL: PageState = {
  answer: 0,
  kind: "words",
  word: "",
  sort: "",
  order: "down",
  search: "",
  cell: "",
  open: "",
  theme: "auto",
  shortcuts: true,
};

/** What every part of a page works with. */
export interface PageContext {
  readonly store: Store<PageState>;
  readonly theme: Theme;
  readonly tooltip: Tooltip;
  readonly signed: boolean;
  readonly measure: "effect" | "importance";
  /** Announce a message to screen readers and, briefly, on screen. */
  readonly say: (words: string) => void;
}

/** Go to a section of the page. */
export function goTo(from: Element, section: string): void {
  const root = from.getRootNode() as ShadowRoot;
  const target = root.querySelector<HTMLElement>(`[data-section="${section}"]`);
  if (!target) return;
  if (target instanceof HTMLDetailsElement) target.open = true;
  const smooth = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  target.scrollIntoView({ block: "start", behavior: smooth ? "smooth" : "auto" });
  target.querySelector<HTMLElement>("h2")?.focus({ preventScroll: true });
}
