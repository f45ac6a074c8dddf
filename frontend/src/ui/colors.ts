/** The palette's ramps as colors of single values. */

import type { Palette } from "../data/payload.generated";

export type Rgb = readonly [number, number, number];
const HEX = /^#[0-9a-f]{6}$/;

export function rgb(hex: string): Rgb {
  if (!HEX.test(hex)) throw new Error(`Invalid color "${hex}": expected #rrggbb.`);
  return [1, 3, 5].map((start) => Number.parseInt(hex.slice(start, start + 2), 16)) as unknown as Rgb;
}

export function hex(color: Rgb): string {
  return `#${color.map((channel) => Math.round(channel).toString(16).padStart(2, "0")).join("")}`;
}

/** Return the color of a ramp at a strength from 0 to 1. */
export function onRamp(ramp: readonly string[], strength: number): string {
  const position = Math.min(Math.max(strength, 0), 1) * (ramp.length - 1);
  const low = Math.min(Math.floor(position), ramp.length - 2);
  const [first, second] = [rgb(ramp[low]), rgb(ramp[low + 1])];
  const part = position - low;
  return hex([0, 1, 2].map((i) => first[i] + (second[i] - first[i]) * part) as unknown as Rgb);
}

/** Return a ramp of 256 colors as pixels. */
export function pixels(ramp: readonly string[]): Uint32Array {
  const out = new Uint32Array(256);
  const bytes = new Uint8ClampedArray(out.buffer);
  for (let step = 0; step < 256; step++) bytes.set([...rgb(onRamp(ramp, step / 255)), 255], 4 * step);
  return out;
}

export function pixel(color: string): number {
  return new Uint32Array(new Uint8ClampedArray([...rgb(color), 255]).buffer)[0];
}

export function luminance(color: string): number {
  const [red, green, blue] = rgb(color).map((channel) => {
    const c = channel / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Black or white, whichever contrasts more with the background. */
export function textOn(background: string): string {
  return luminance(background) > 0.1791 ? "#000000" : "#ffffff";
}

/** The colors of one theme by name, and its ramps. */
export class Colors {
  private readonly named: ReadonlyMap<string, string>;

  constructor(readonly palette: Palette) {
    this.named = new Map(palette.names.map((name, index) => [name, hex(rgb(palette.values[index]))]));
  }

  get(name: string): string {
    return this.named.get(name) ?? "#808080";
  }

  /** Return the color of a score between -1 and 1. */
  score(value: number, signed: boolean): string {
    if (!signed) return onRamp(this.palette.unsigned, Math.abs(value));
    return onRamp(value >= 0 ? this.palette.supports : this.palette.against, Math.abs(value));
  }

  /** Return the solid color of a bar. */
  bar(value: number, signed: boolean, special: boolean): string {
    return this.get(special ? "special" : !signed ? "unsigned" : value >= 0 ? "supports" : "against");
  }

  variables(): string {
    return [...this.named].map(([name, value]) => `--${name}:${value}`).join(";");
  }
}
