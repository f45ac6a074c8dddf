/** A scene on a canvas: one of the page, or one that becomes a PNG file. */

import { FONT, isolated } from "./font";
import { hatchOf, type Scene, type Shape } from "./scene";

/** Draw a scene at a multiple of its size and return it as PNG. */
export function scenePng(scene: Scene, ratio: number): Promise<Blob> {
  const canvas = document.createElement("canvas");
  canvas.width = Math.ceil(scene.width * ratio);
  canvas.height = Math.ceil(scene.height * ratio);
  const pen = canvas.getContext("2d")!;
  pen.scale(ratio, ratio);
  drawScene(pen, scene);
  return new Promise((resolve, reject) => {
    canvas.toBlob(
      (blob) => (blob ? resolve(blob) : reject(new Error("The image is too large for this browser."))),
      "image/png",
    );
  });
}

export function drawScene(pen: CanvasRenderingContext2D, scene: Scene): void {
  pen.fillStyle = scene.background;
  pen.fillRect(0, 0, scene.width, scene.height);
  for (const shape of scene.shapes) {
    pen.save();
    drawShape(pen, shape);
    pen.restore();
  }
}

function drawShape(pen: CanvasRenderingContext2D, shape: Shape): void {
  switch (shape.kind) {
    case "rect":
      if (shape.fill !== "none") {
        pen.fillStyle = shape.fill;
        pen.beginPath();
        pen.roundRect(shape.x, shape.y, shape.width, shape.height, shape.radius ?? 0);
        pen.fill();
      }
      if (shape.hatch) {
        pen.strokeStyle = shape.hatch;
        pen.lineWidth = 1.5;
        pen.stroke(new Path2D(hatchOf(shape)));
      }
      break;
    case "text":
      pen.fillStyle = shape.fill;
      pen.font = `${shape.weight ?? 400} ${shape.size}px ${FONT}`;
      pen.textBaseline = "middle";
      pen.textAlign = ({ start: "left", middle: "center", end: "right" } as const)[shape.anchor ?? "start"];
      pen.translate(shape.x, shape.y);
      pen.rotate(((shape.turn ?? 0) * Math.PI) / 180);
      pen.fillText(isolated(shape.text), 0, 0);
      break;
    case "path":
      pen.strokeStyle = shape.stroke;
      pen.lineWidth = shape.width;
      pen.lineCap = "round";
      pen.globalAlpha = shape.opacity ?? 1;
      pen.stroke(new Path2D(shape.d));
      break;
    case "image":
      pen.imageSmoothingEnabled = shape.source.width > shape.width;
      pen.drawImage(shape.source, shape.x, shape.y, shape.width, shape.height);
      break;
  }
}
