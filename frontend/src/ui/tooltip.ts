/** One tooltip, shared by all views. */

import { h, replace } from "./dom";
import { bdi } from "./parts";
import { floating, lower, moveTo, raise } from "./top-layer";

export class Tooltip {
  readonly element = floating("div", { class: "tooltip", role: "tooltip" });

  /** Show a heading and rows next to the pointer. */
  show(
    { clientX: x, clientY: y }: MouseEvent,
    heading: string,
    rows: readonly (readonly [string, string])[],
    note = "",
  ): void {
    replace(
      this.element,
      h("bdi", { class: "tooltip-heading" }, heading),
      rows.length > 0 &&
        h("dl", {}, ...rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, bdi(value))])),
      note && h("p", {}, note),
    );
    raise(this.element);
    moveTo(this.element, (width, height) => {
      const left = Math.min(x + 14, innerWidth - width - 8);
      const top = y + 18 + height > innerHeight ? y - height - 12 : y + 18;
      return [Math.max(left, 4), Math.max(top, 4)];
    });
  }

  hide(): void {
    lower(this.element);
  }
}
