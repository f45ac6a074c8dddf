/** The font of pictures, and how much room a text takes in it. */

export const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif";

/** The width of a text in pixels. */
export type Measure = (text: string, size: number, weight?: number) => number;

let pen: CanvasRenderingContext2D | undefined;
const widths = new Map<string, number>();

export const measured: Measure = (text, size, weight = 400) => {
  const key = `${weight} ${size} ${text}`;
  let width = widths.get(key);
  if (width === undefined) {
    pen ??= document.createElement("canvas").getContext("2d")!;
    pen.font = `${weight} ${size}px ${FONT}`;
    width = pen.measureText(text).width;
    if (widths.size > 20_000) widths.clear();
    widths.set(key, width);
  }
  return width;
};

/** The text, or as much of its start as fits followed by an ellipsis. */
export function fitted(text: string, room: number, size: number, measure: Measure = measured): string {
  if (measure(text, size) <= room) return text;
  const characters = Array.from(text);
  let [low, high] = [0, characters.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (measure(`${characters.slice(0, middle).join("")}…`, size) <= room) low = middle;
    else high = middle - 1;
  }
  return `${characters.slice(0, low).join("")}…`;
}

/** Text with right-to-left characters keeps its own order between its neighbors. */
export function isolated(text: string): string {
  return /[\u0590-\u08ff\ufb1d-\ufefc]/.test(text) ? `\u2068${text}\u2069` : text;
}
