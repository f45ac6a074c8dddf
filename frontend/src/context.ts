/** What every view is given. */

import type { Actions } from "./actions";
import type { Colors } from "./colors";
import type { Model } from "./model";
import type { Store } from "./store";
import type { Theme } from "./theme";
import type { Tooltip } from "./views/tooltip";

export interface Context {
  readonly model: Model;
  readonly store: Store;
  readonly actions: Actions;
  readonly theme: Theme;
  readonly tooltip: Tooltip;
  /** Say something to screen readers and, for a moment, on screen. */
  readonly say: (words: string) => void;
  /** Ends with the report: what listens beyond its element hangs on it. */
  readonly signal: AbortSignal;
}

export type ColorListener = (colors: Colors) => void;
