/** The state that all views share. */

import type { SinkMode } from "../data/matrices";
import type { ViewState } from "../data/model";

export type Scale = "row" | "head" | "global";
export type ThemeChoice = "auto" | "light" | "dark";

export interface State extends ViewState {
  pinned: boolean;
  hover: number;
  sort: "position" | "size";
  sinks: SinkMode;
  scale: Scale;
  /** Whether a window of the matrix is shown, the tokens of its center row and key, and its size. */
  zoom: boolean;
  zoomRow: number;
  zoomKey: number;
  zoomSize: number;
  /** The score that heads are ranked by (0: none), and how many are shown (0: all). */
  ranking: number;
  topHeads: number;
  search: string;
  /** The names of the open drawers, with a dot between them. */
  open: string;
  theme: ThemeChoice;
  shortcuts: boolean;
}

export type Key = keyof State;
type Listener<S> = (state: Readonly<S>, changed: ReadonlySet<keyof S>) => void;

export class Store<S extends object = State> {
  private readonly listeners: { keys: ReadonlySet<keyof S>; listener: Listener<S> }[] = [];

  constructor(private current: S) {}

  get state(): Readonly<S> {
    return this.current;
  }

  /** Call a listener now and whenever one of these keys changes. */
  watch(keys: readonly (keyof S)[], listener: Listener<S>): void {
    this.listeners.push({ keys: new Set(keys), listener });
    listener(this.current, new Set(keys));
  }

  set(patch: Partial<S>): void {
    const changed = new Set<keyof S>();
    for (const key of Object.keys(patch) as (keyof S)[]) {
      if (patch[key] !== undefined && patch[key] !== this.current[key]) changed.add(key);
    }
    if (!changed.size) return;
    this.current = { ...this.current, ...patch };
    for (const { keys, listener } of this.listeners) {
      for (const key of changed) {
        if (keys.has(key)) {
          listener(this.current, changed);
          break;
        }
      }
    }
  }
}
