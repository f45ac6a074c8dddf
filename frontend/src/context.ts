/** What every view is given. */

import type { Model } from "./data/model";
import type { Actions } from "./state/actions";
import type { Store } from "./state/store";
import type { Colors } from "./ui/colors";
import type { Theme } from "./ui/theme";
import type { Tooltip } from "./ui/tooltip";

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
