/** What every view works with. */

import type { Model } from "./data/model";
import type { Actions } from "./state/actions";
import type { Store } from "./state/store";
import type { Theme } from "./ui/theme";
import type { Tooltip } from "./ui/tooltip";

export interface Context {
  readonly model: Model;
  readonly store: Store;
  readonly actions: Actions;
  readonly theme: Theme;
  readonly tooltip: Tooltip;
  /** Announce a message to screen readers and, briefly, on screen. */
  readonly say: (words: string) => void;
  /** Open a section of the page by name, and scroll to it. */
  readonly bring: (drawer: string) => void;
  /** Aborted when the report is removed; ends listeners outside its element. */
  readonly signal: AbortSignal;
}
