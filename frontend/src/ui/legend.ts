/** The colors of a scale, from one end to the other. */

import type { Palette } from "../data/payload.generated";
import { onRamp } from "./colors";
import { h } from "./dom";
import { swatch } from "./parts";

const STEPS = 6;

/** Two ramps that meet at zero where signed, else one. */
export function scaleSwatches(
  palette: Palette,
  signed: boolean,
  curve = (strength: number) => strength,
): HTMLElement {
  const steps = Array.from({ length: STEPS }, (_, index) => curve(index / (STEPS - 1)));
  const colors = signed
    ? [
        ...[...steps].reverse().map((step) => onRamp(palette.against, step)),
        ...steps.map((step) => onRamp(palette.supports, step)),
      ]
    : steps.map((step) => onRamp(palette.unsigned, step));
  return h("span", { class: "ramp" }, ...colors.map((color) => swatch(color)));
}
