/** Builds elements without markup: every string becomes a text node or an attribute. */

import { roving } from "./roving";

export type Child = Node | string | null | undefined | false;
export type Handlers = { [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void };

export interface Attributes {
  class?: string | undefined;
  on?: Handlers;
  [name: string]: string | number | boolean | Handlers | undefined;
}

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  append(element, children);
  return element;
}

export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  setAttributes(element, attributes);
  append(element, children);
  return element;
}

export function replace(parent: Element, ...children: Child[]): void {
  parent.replaceChildren();
  append(parent, children);
}

function setAttributes(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (typeof value === "object") {
      on(element, value);
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
}

/** Listen to several events of an element. */
export function on(element: Element, handlers: Handlers): void {
  for (const [type, handler] of Object.entries(handlers)) {
    element.addEventListener(type, handler as EventListener);
  }
}

function append(parent: Element, children: readonly Child[]): void {
  for (const child of children) if (child) parent.append(child);
}

export interface Choice<T> {
  readonly value: T;
  readonly label: string;
  readonly tip?: string;
}

/** A row of buttons, one of which is pressed; one tab stop. */
export function segmented<T extends string>(
  label: string,
  choices: readonly Choice<T>[],
  choose: (value: T) => void,
): { element: HTMLElement; show: (value: T) => void } {
  const buttons = choices.map((choice) =>
    h(
      "button",
      {
        type: "button",
        "aria-pressed": "false",
        title: choice.tip,
        on: { click: () => choose(choice.value) },
      },
      choice.label,
    ),
  );
  const element = h("div", { class: "segmented", role: "toolbar", "aria-label": label }, ...buttons);
  const { follow } = roving(element);
  const show = (value: T) => {
    choices.forEach((choice, index) => {
      buttons[index].setAttribute("aria-pressed", String(choice.value === value));
      if (choice.value === value) follow(buttons[index]);
    });
  };
  return { element, show };
}

/** A drop-down list with its label. */
export function picker(
  label: string,
  options: readonly string[],
  choose: (index: number) => void,
): { element: HTMLElement; show: (index: number) => void } {
  const select = h(
    "select",
    { on: { change: () => choose(select.selectedIndex) } },
    ...options.map((option) => h("option", {}, option)),
  );
  const element = h("label", { class: "picker" }, h("span", {}, label), select);
  return {
    element,
    show: (index) => {
      select.selectedIndex = index;
    },
  };
}
