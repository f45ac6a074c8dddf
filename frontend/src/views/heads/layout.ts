/** Layout of the thumbnails: layers down and heads across, or in order of rank. */

export const MARGIN = 30;
const GAP = 6;
const TOP = MARGIN - 8;
const CAPTION = 16;
const RANKED = 76;

export interface Layout {
  readonly size: number;
  readonly columns: number;
  readonly rows: number;
  /** Number of blocks side by side that the rows are split into. */
  readonly blocks: number;
  /** Height of the caption below each thumbnail. */
  readonly caption: number;
  readonly width: number;
  readonly height: number;
}

/** Layers as rows and heads as columns. */
export function gridLayout(layers: number, heads: number, width: number): Layout {
  const blocks = blocksOf(layers, heads, width);
  const size = Math.max(18, Math.min(72, Math.floor((width / blocks - MARGIN) / heads) - GAP));
  return laidOut(size, heads, Math.ceil(layers / blocks), blocks, 0);
}

/** Thumbnails in rows that fill the width, each with its score below. */
export function rankedLayout(count: number, width: number): Layout {
  const columns = Math.max(Math.floor((width - MARGIN) / (RANKED + GAP)), 1);
  return laidOut(RANKED, columns, Math.ceil(count / columns), 1, CAPTION);
}

function laidOut(size: number, columns: number, rows: number, blocks: number, caption: number): Layout {
  const width = blocks * (MARGIN + columns * (size + GAP));
  return { size, columns, rows, blocks, caption, width, height: TOP + rows * (size + caption + GAP) };
}

/** Left and top edge of a thumbnail. */
export function spot({ size, columns, rows, caption }: Layout, index: number): [number, number] {
  const row = Math.floor(index / columns);
  const block = Math.floor(row / rows);
  return [
    MARGIN + (index % columns) * (size + GAP) + block * (MARGIN + columns * (size + GAP)),
    TOP + (row % rows) * (size + caption + GAP),
  ];
}

/** The thumbnail at a point; -1 if none. */
export function thumbnailAt(layout: Layout, x: number, y: number): number {
  const { size, columns, rows, blocks, caption } = layout;
  const wide = MARGIN + columns * (size + GAP);
  const block = Math.floor(x / wide);
  const column = Math.floor((x - block * wide - MARGIN) / (size + GAP));
  const row = Math.floor((y - TOP) / (size + caption + GAP));
  if (column < 0 || column >= columns || row < 0 || row >= rows || block >= blocks) return -1;
  return (block * rows + row) * columns + column;
}

/** Number of blocks side by side with which many layers of few heads fill the width. */
export function blocksOf(layers: number, heads: number, width: number): number {
  const max = Math.floor(width / (MARGIN + heads * (44 + GAP)));
  return Math.max(1, Math.min(max, Math.ceil(layers / 4)));
}
