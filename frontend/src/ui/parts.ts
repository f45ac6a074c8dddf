/** Building blocks of every view: text, notes, buttons, bars, swatches, tables, cards. */

import { type Child, h } from "./dom";

/** Text whose direction is isolated from its surroundings. */
export function bdi(...words: Child[]): HTMLElement {
  return h("bdi", {}, ...words);
}

export function note(...words: Child[]): HTMLElement {
  return h("p", { class: "note" }, ...words);
}

/** A button; a symbol needs a name for screen readers. */
export function button(words: string, act: () => unknown, name?: string): HTMLButtonElement {
  return h("button", { type: "button", class: "plain", "aria-label": name, on: { click: act } }, words);
}

/** The visible name of a control. */
export function controlName(words: string): HTMLElement {
  return h("span", { class: "control-name", "aria-hidden": "true" }, words);
}

export function swatch(color: string): HTMLElement {
  const element = h("i", { class: "swatch" });
  element.style.background = color;
  return element;
}

/** What a color or a mark means. */
export function key(mark: HTMLElement, words: string): HTMLElement {
  return h("span", { class: "key" }, mark, words);
}

/** A bar; width and left edge in percent of its track. */
export function bar(width: number, color: string, left = 0): HTMLElement {
  const element = h("span", { class: "bar" });
  Object.assign(element.style, { width: `${width}%`, left: `${left}%`, background: color });
  return element;
}

/** The track of a bar, with a zero line for signed values. */
export function track(within: Child, signed = false): HTMLElement {
  return h("span", { class: `track${signed ? " signed" : ""}` }, within);
}

export function list(items: readonly string[]): HTMLElement {
  return h("ul", {}, ...items.map((item) => h("li", {}, bdi(item))));
}

/** Warnings in one line: the first, and the others behind it; all of them when it is opened. */
export function cautionLine(cautions: readonly string[]): HTMLElement | null {
  if (!cautions.length) return null;
  const [first, ...others] = cautions;
  const more =
    others.length &&
    h("span", { class: "more" }, `${others.length} more ${others.length > 1 ? "warnings" : "warning"}`);
  return h(
    "details",
    { class: "caution" },
    h("summary", {}, h("span", { class: "first" }, h("strong", {}, "Warning: "), bdi(first)), more || null),
    ...others.map((words) => h("p", {}, h("strong", {}, "Warning: "), bdi(words))),
  );
}

export function table(names: readonly string[], body: HTMLElement, style?: string): HTMLElement {
  const head = names.map((name) => (name ? h("th", { scope: "col" }, name) : h("td")));
  return h("table", { class: style }, h("thead", {}, h("tr", {}, ...head)), body);
}

/** A section of the page: title, controls and content. */
export function card(
  name: string,
  title: HTMLElement,
  controls: Child[] | null,
  ...content: Child[]
): HTMLElement {
  title.id = `${name}-title`;
  return h(
    "section",
    { class: `card ${name}`, "aria-labelledby": title.id },
    controls ? h("div", { class: "card-head" }, title, h("div", { class: "controls" }, ...controls)) : title,
    ...content,
  );
}

/** The number in a data attribute of the element under the pointer; -1 if none. */
export function numberAt(event: Event, attribute: string): number {
  const holder = (event.target as Element).closest(`[data-${attribute}]`);
  return Number(holder?.getAttribute(`data-${attribute}`) ?? -1);
}
