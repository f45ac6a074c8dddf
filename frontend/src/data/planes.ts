/** The matrices that a state shows: the selected map's, and the most detailed one of the same layer and head. */

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
  /** The whole matrix, pooled if the map is. */
  readonly overview: Plane;
  /** Individual weights of the same layer and head if the page has them, else the overview. */
  readonly detail: Plane;
}

export interface PlaneIndex {
  readonly map: number;
  readonly layer: number;
  readonly head: number;
}

/** The map with individual weights of a pooled map's layer and head; null if none, or if not pooled. */
export function exactPlane(parts: readonly Attention[], { map, layer, head }: PlaneIndex): PlaneIndex | null {
  const part = parts[map];
  if (part.pooled < 2) return null;
  for (const [index, other] of parts.entries()) {
    if (other.pooled > 1 || other.map !== part.map || other.steps !== part.steps) continue;
    const atLayer = other.layers.indexOf(part.layers[layer]);
    if (atLayer < 0) continue;
    if (head < 0) {
      // A stored mean, or one computed from all heads.
      if (!other.heads.length || String(other.heads) === String(part.heads))
        return { map: index, layer: atLayer, head: other.heads.length ? -1 : 0 };
      continue;
    }
    const atHead = other.heads.indexOf(part.heads[head]);
    if (atHead >= 0) return { map: index, layer: atLayer, head: atHead };
  }
  return null;
}

/** Load the state's matrices, folded to its level. */
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
