/** Menus that open from a button. */

const EDGE = 8; // px that stay free beside a menu

/** Move the items of a menu into the window where they would stand beyond its edge. */
export function keepInWindow(menu: HTMLDetailsElement, items: HTMLElement): void {
  menu.addEventListener("toggle", () => {
    items.style.translate = "";
    if (!menu.open) return;
    const { left, right } = items.getBoundingClientRect();
    const last = document.documentElement.clientWidth - EDGE;
    const shift = left < EDGE ? EDGE - left : Math.min(last - right, 0);
    if (shift) items.style.translate = `${shift}px`;
  });
}
