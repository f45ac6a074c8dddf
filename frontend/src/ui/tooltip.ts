/** One tooltip, shared by all views. */

import { h, replace } from "./dom";
import { bdi } from "./parts";

export class Tooltip {
  readonly element = h("div", { class: "tooltip", role: "tooltip", hidden: true });

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
    this.element.hidden = false;
    const { width, height } = this.element.getBoundingClientRect();
    const left = Math.min(x + 14, innerWidth - width - 8);
    const top = y + 18 + height > innerHeight ? y - height - 12 : y + 18;
    this.element.style.left = `${Math.max(left, 4)}px`;
    this.element.style.top = `${Math.max(top, 4)}px`;
  }

  hide(): void {
    this.element.hidden = true;
  }
}
