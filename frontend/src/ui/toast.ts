/** Short messages at the bottom of the page, also read out. */

import { h } from "./dom";

export function toast(): { element: HTMLElement; say: (words: string) => void } {
  const element = h("p", { class: "toast", role: "status", hidden: true });
  let timer = 0;
  return {
    element,
    say: (words) => {
      element.textContent = words;
      element.hidden = false;
      clearTimeout(timer);
      timer = window.setTimeout(() => {
        element.hidden = true;
      }, 2600);
    },
  };
}
