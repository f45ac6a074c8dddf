/** Short messages at the bottom of the page, also read out. */

import { floating, lower, raise } from "./top-layer";

export function toast(): { element: HTMLElement; say: (words: string) => void } {
  const element = floating("p", { class: "toast", role: "status" });
  let timer = 0;
  return {
    element,
    say: (words) => {
      element.textContent = words;
      raise(element);
      clearTimeout(timer);
      timer = window.setTimeout(() => lower(element), 2600);
    },
  };
}
