/** Elements above everything else: never clipped, and placed by the window whatever contains the report. */

import { h } from "./dom";

/** An element that is hidden until it is raised; `hidden` serves browsers without popovers. */
export function floating<K extends "div" | "p">(
  tag: K,
  attributes: { class: string; role: string },
): HTMLElementTagNameMap[K] {
  return h(tag, { ...attributes, popover: "manual", hidden: true });
}

export function raise(element: HTMLElement): void {
  element.hidden = false;
  if (element.showPopover && !element.matches(":popover-open")) element.showPopover();
}

export function lower(element: HTMLElement): void {
  if (element.hidePopover && element.matches(":popover-open")) element.hidePopover();
  element.hidden = true;
}

/**
 * Move a raised element to a point of the window.
 *
 * Without popovers, a fixed element is placed by its nearest ancestor with a transform, filter or containment
 * (a notebook's output has them), so where its own origin lies is measured.
 */
export function moveTo(
  element: HTMLElement,
  place: (width: number, height: number) => [number, number],
): void {
  element.style.left = element.style.top = "0";
  const origin = element.getBoundingClientRect();
  const scale = origin.width / element.offsetWidth || 1;
  const [left, top] = place(origin.width, origin.height);
  element.style.left = `${(left - origin.left) / scale}px`;
  element.style.top = `${(top - origin.top) / scale}px`;
}
