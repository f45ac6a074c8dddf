/** A scene as SVG: an element of the page, or the text of a file. */

import { svg } from "../ui/dom";
import { FONT, isolated } from "./font";
import { hatchOf, type Rect, round, type Scene, type Shape } from "./scene";

type Attributes = Record<string, string | number>;

/** Shapes as an element of the page. */
export function sceneElement({
  width,
  height,
  shapes,
}: Pick<Scene, "width" | "height" | "shapes">): SVGSVGElement {
  const size = { width: round(width), height: round(height) };
  const root = svg("svg", { ...size, viewBox: `0 0 ${size.width} ${size.height}`, "aria-hidden": "true" });
  for (const shape of shapes) {
    for (const [tag, attributes, words] of elementsOf(shape)) root.append(svg(tag, attributes, words));
  }
  return root;
}

/** A scene as the text of an SVG file. */
export function sceneSvg(scene: Scene): string {
  const written = ([tag, attributes, words]: Element) => {
    const names = Object.entries(attributes).map(([name, value]) => ` ${name}="${escaped(String(value))}"`);
    return `<${tag}${names.join("")}${words ? `>${escaped(words)}</${tag}>` : "/>"}`;
  };
  const [width, height] = [round(scene.width), round(scene.height)];
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
    `viewBox="0 0 ${width} ${height}" font-family="${FONT}">\n` +
    `<rect width="100%" height="100%" fill="${scene.background}"/>\n` +
    `${scene.shapes.flatMap(elementsOf).map(written).join("\n")}\n</svg>\n`
  );
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

type Element = [tag: "rect" | "text" | "path" | "image", attributes: Attributes, words?: string];

function elementsOf(shape: Shape): Element[] {
  switch (shape.kind) {
    case "rect": {
      const face: Element = [
        "rect",
        { ...boxOf(shape), fill: shape.fill, ...(shape.radius ? { rx: shape.radius } : {}) },
      ];
      return shape.hatch
        ? [face, ["path", { d: hatchOf(shape), fill: "none", stroke: shape.hatch, "stroke-width": 1.5 }]]
        : [face];
    }
    case "text": {
      const turn = shape.turn ? ` rotate(${shape.turn})` : "";
      const attributes: Attributes = {
        transform: `translate(${round(shape.x)} ${round(shape.y)})${turn}`,
        "font-size": round(shape.size),
        fill: shape.fill,
        "text-anchor": shape.anchor ?? "start",
        "dominant-baseline": "central",
        "xml:space": "preserve",
      };
      if (shape.weight) attributes["font-weight"] = shape.weight;
      return [["text", attributes, isolated(shape.text)]];
    }
    case "path": {
      const { d, stroke, width, opacity } = shape;
      const attributes: Attributes = { d, fill: "none", stroke, "stroke-width": round(width) };
      if (opacity !== undefined) attributes["stroke-opacity"] = round(opacity);
      return [["path", attributes]];
    }
    case "image":
      return [
        [
          "image",
          {
            ...boxOf(shape),
            preserveAspectRatio: "none",
            style: "image-rendering:pixelated",
            href: shape.source.toDataURL("image/png"),
          },
        ],
      ];
  }
}

function boxOf({ x, y, width, height }: Pick<Rect, "x" | "y" | "width" | "height">): Attributes {
  return { x: round(x), y: round(y), width: round(width), height: round(height) };
}
