/** Which matrix is looked at: all of it as the chosen map holds it, and its cells in most detail. */

import type { Matrices } from "./matrices";
import type { Model, ViewState } from "./model";
import type { Attention } from "./payload.generated";

/** One matrix of a map. */
export interface Plane {
  readonly data: Matrices;
  readonly layer: number;
  /** -1 is the mean over heads. */
  readonly head: number;
}

export interface Planes {
  /** The whole, pooled where the map is. */
  readonly overview: Plane;
  /** The same layer and head cell by cell where the page holds them so, else the overview again. */
  readonly detail: Plane;
}

export interface PlaneIndex {
  readonly map: number;
  readonly layer: number;
  readonly head: number;
}

/** Where a pooled map's layer and head stand cell by cell; null where they do not, or no need. */
export function exactPlane(parts: readonly Attention[], { map, layer, head }: PlaneIndex): PlaneIndex | null {
  const part = parts[map];
  if (part.pooled < 2) return null;
  for (const [index, other] of parts.entries()) {
    if (other.pooled > 1 || other.map !== part.map || other.steps !== part.steps) continue;
    const atLayer = other.layers.indexOf(part.layers[layer]);
    if (atLayer < 0) continue;
    if (head < 0) {
      // A mean that was kept, or one that all heads give.
      if (!other.heads.length || String(other.heads) === String(part.heads))
        return { map: index, layer: atLayer, head: other.heads.length ? -1 : 0 };
      continue;
    }
    const atHead = other.heads.indexOf(part.heads[head]);
    if (atHead >= 0) return { map: index, layer: atLayer, head: atHead };
  }
  return null;
}

/** Load what a state shows, folded to its level. */
export async function planesOf(model: Model, state: Readonly<ViewState>): Promise<Planes> {
  const selected: PlaneIndex = { map: state.map, layer: state.layer, head: state.head };
  const exact = exactPlane(model.payload.attention, selected);
  const overview = await planeOf(model, state, selected);
  return { overview, detail: exact ? await planeOf(model, state, exact) : overview };
}

async function planeOf(model: Model, state: Readonly<ViewState>, index: PlaneIndex): Promise<Plane> {
  const data = await model.attentionAt(index.map, state.level);
  await data.load(index.layer);
  return { data, layer: index.layer, head: index.head };
}

export function isPooled({ data }: Plane): boolean {
  return data.part.pooled > 1;
}
