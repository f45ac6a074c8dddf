/** A figure as a list of shapes, written as SVG with text elements or drawn on a canvas. */

export type Shape =
  | { kind: "rect"; x: number; y: number; width: number; height: number; fill: string; radius?: number }
  | {
      kind: "text";
      x: number;
      y: number;
      text: string;
      size: number;
      fill: string;
      anchor?: "start" | "middle" | "end";
      weight?: number;
      /** Degrees. */
      turn?: number;
    }
  | { kind: "path"; d: string; stroke: string; width: number }
  | { kind: "image"; x: number; y: number; width: number; height: number; source: HTMLCanvasElement };

export interface Scene {
  readonly width: number;
  readonly height: number;
  readonly background: string;
  readonly shapes: readonly Shape[];
}

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif";

/** Return a scene as the text of an SVG file. */
export function sceneSvg(scene: Scene): string {
  const body = scene.shapes.map(shapeSvg).join("\n");
  const { width, height } = scene;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${round(width)}" height="${round(height)}" ` +
    `viewBox="0 0 ${round(width)} ${round(height)}" font-family="${FONT}">\n` +
    `<rect width="100%" height="100%" fill="${scene.background}"/>\n${body}\n</svg>\n`
  );
}

/** Draw a scene at a multiple of its size and return it as PNG. */
export function scenePng(scene: Scene, ratio: number): Promise<Blob> {
  const canvas = document.createElement("canvas");
  canvas.width = Math.ceil(scene.width * ratio);
  canvas.height = Math.ceil(scene.height * ratio);
  const pen = canvas.getContext("2d")!;
  pen.scale(ratio, ratio);
  pen.fillStyle = scene.background;
  pen.fillRect(0, 0, scene.width, scene.height);
  for (const shape of scene.shapes) drawShape(pen, shape);
  return new Promise((resolve, reject) => {
    canvas.toBlob(
      (blob) => (blob ? resolve(blob) : reject(new Error("The image is too large for this browser."))),
      "image/png",
    );
  });
}

/** Escape text for XML and drop characters that XML does not allow. */
export function escaped(text: string): string {
  return Array.from(text)
    .filter((character) => {
      const code = character.codePointAt(0)!;
      return code > 0x1f && (code < 0xd800 || code > 0xdfff) && code !== 0xfffe && code !== 0xffff;
    })
    .join("")
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/>/g, "&gt;")
    .replace(/"/g, "&quot;");
}

function shapeSvg(shape: Shape): string {
  switch (shape.kind) {
    case "rect":
      return (
        `<rect x="${round(shape.x)}" y="${round(shape.y)}" width="${round(shape.width)}" ` +
        `height="${round(shape.height)}" fill="${shape.fill}"${shape.radius ? ` rx="${shape.radius}"` : ""}/>`
      );
    case "text": {
      const position = `${round(shape.x)} ${round(shape.y)}`;
      const turn = shape.turn ? ` rotate(${shape.turn})` : "";
      return (
        `<text transform="translate(${position})${turn}" font-size="${shape.size}" fill="${shape.fill}" ` +
        `text-anchor="${shape.anchor ?? "start"}" dominant-baseline="central"` +
        `${shape.weight ? ` font-weight="${shape.weight}"` : ""} xml:space="preserve">${escaped(shape.text)}</text>`
      );
    }
    case "path":
      return `<path d="${shape.d}" fill="none" stroke="${shape.stroke}" stroke-width="${round(shape.width)}"/>`;
    case "image":
      return (
        `<image x="${round(shape.x)}" y="${round(shape.y)}" width="${round(shape.width)}" ` +
        `height="${round(shape.height)}" preserveAspectRatio="none" style="image-rendering:pixelated" ` +
        `href="${shape.source.toDataURL("image/png")}"/>`
      );
  }
}

function drawShape(pen: CanvasRenderingContext2D, shape: Shape): void {
  pen.save();
  switch (shape.kind) {
    case "rect":
      pen.fillStyle = shape.fill;
      pen.beginPath();
      pen.roundRect(shape.x, shape.y, shape.width, shape.height, shape.radius ?? 0);
      pen.fill();
      break;
    case "text":
      pen.fillStyle = shape.fill;
      pen.font = `${shape.weight ?? 400} ${shape.size}px ${FONT}`;
      pen.textBaseline = "middle";
      pen.textAlign = ({ start: "left", middle: "center", end: "right" } as const)[shape.anchor ?? "start"];
      pen.translate(shape.x, shape.y);
      pen.rotate(((shape.turn ?? 0) * Math.PI) / 180);
      pen.fillText(shape.text, 0, 0);
      break;
    case "path":
      pen.strokeStyle = shape.stroke;
      pen.lineWidth = shape.width;
      pen.stroke(new Path2D(shape.d));
      break;
    case "image":
      pen.imageSmoothingEnabled = shape.source.width > shape.width;
      pen.drawImage(shape.source, shape.x, shape.y, shape.width, shape.height);
      break;
  }
  pen.restore();
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
