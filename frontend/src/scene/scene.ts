/** A picture as a list of shapes: what the page draws and what it exports. */

export interface Rect {
  readonly kind: "rect";
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly fill: string;
  readonly radius?: number;
  /** The color of diagonal stripes on it. */
  readonly hatch?: string | undefined;
}

export interface Text {
  readonly kind: "text";
  readonly x: number;
  /** The middle of the line. */
  readonly y: number;
  readonly text: string;
  readonly size: number;
  readonly fill: string;
  readonly anchor?: "start" | "middle" | "end";
  readonly weight?: number;
  /** Degrees. */
  readonly turn?: number;
}

export interface Path {
  readonly kind: "path";
  readonly d: string;
  readonly stroke: string;
  readonly width: number;
  readonly opacity?: number;
}

export interface Picture {
  readonly kind: "image";
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly source: HTMLCanvasElement;
}

export type Shape = Rect | Text | Path | Picture;

export interface Scene {
  readonly width: number;
  readonly height: number;
  readonly background: string;
  readonly shapes: readonly Shape[];
}

interface Inks {
  get(name: "background" | "text" | "muted"): string;
}

const MARGIN = 16;
const TITLE = 40;
const LINE = 17;

/** A scene below its title and some lines of notes; wide enough for the content, never for long notes. */
export function titled(
  content: Pick<Scene, "width" | "height" | "shapes">,
  title: string,
  notes: readonly string[],
  colors: Inks,
  minWidth = 520,
): Scene {
  const width = Math.max(content.width + 2 * MARGIN, minWidth);
  const lines = notes.flatMap((words) => wrapped(words, (width - 2 * MARGIN) / 5.7));
  const titles = wrapped(title, (width - 2 * MARGIN) / 10);
  const top = TITLE + (titles.length - 1) * 20 + lines.length * LINE + 6;
  return {
    width,
    height: top + content.height + MARGIN,
    background: colors.get("background"),
    shapes: [
      ...titles.map(
        (text, line): Text => ({
          kind: "text",
          x: MARGIN,
          y: 24 + 20 * line,
          text,
          size: 16,
          weight: 650,
          fill: colors.get("text"),
        }),
      ),
      ...lines.map(
        (text, line): Text => ({
          kind: "text",
          x: MARGIN,
          y: TITLE + (titles.length - 1) * 20 + LINE * (line + 0.5),
          text,
          size: 11,
          fill: colors.get("muted"),
        }),
      ),
      ...shifted(content.shapes, MARGIN, top),
    ],
  };
}

/** Shapes moved right and down. */
export function shifted(shapes: readonly Shape[], right: number, down: number): Shape[] {
  return shapes.map((shape) => {
    if (shape.kind !== "path") return { ...shape, x: shape.x + right, y: shape.y + down };
    // Commands of paths are absolute, with pairs of coordinates.
    let isX = false;
    const d = shape.d.replace(/-?\d+(\.\d+)?(e-?\d+)?/g, (coordinate) => {
      isX = !isX;
      return String(round(Number(coordinate) + (isX ? right : down)));
    });
    return { ...shape, d };
  });
}

/** A path through points; each list of points is a line of its own. */
export function lines(...all: readonly (readonly [number, number])[][]): string {
  return all
    .map((points) => points.map(([x, y], index) => `${index ? "L" : "M"}${round(x)} ${round(y)}`).join(""))
    .join("");
}

const GAP = 6;

/** Diagonal stripes that end at the edges of a rectangle, as a path. */
export function hatchOf({ x, y, width, height }: Pick<Rect, "x" | "y" | "width" | "height">): string {
  const stripes: [number, number][][] = [];
  // Each stripe is the part of u + v = sum that lies inside; sums are multiples of the gap on the page, so that
  // the stripes of neighbors meet.
  const start = Math.ceil((x + y) / GAP) * GAP - (x + y);
  for (let sum = start; sum < width + height; sum += GAP) {
    const [left, right] = [Math.max(0, sum - height), Math.min(width, sum)];
    if (right > left)
      stripes.push([
        [x + left, y + sum - left],
        [x + right, y + sum - right],
      ]);
  }
  return lines(...stripes);
}

export function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** Text in lines of at most some characters, broken at spaces where there are any. */
export function wrapped(words: string, most: number): string[] {
  const out: string[] = [];
  let line = "";
  for (const word of words.split(" ")) {
    if (line && line.length + word.length + 1 > most) {
      out.push(line);
      line = word;
    } else line = line ? `${line} ${word}` : word;
  }
  return [...out, line];
}
