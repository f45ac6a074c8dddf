/** Groups of controls as one tab stop: arrow keys move between them. */

/** Make the buttons of a group one tab stop; call `follow` after they change or another one is pressed. */
export function roving(group: HTMLElement): { follow: (current?: HTMLElement) => void } {
  const buttons = () => [...group.querySelectorAll<HTMLElement>("button")];
  const follow = (current?: HTMLElement) => {
    const all = buttons();
    const kept = current ?? all.find((button) => button.tabIndex === 0) ?? all[0];
    for (const button of all) button.tabIndex = button === kept ? 0 : -1;
  };
  group.addEventListener("focusin", (event) => {
    const button = (event.target as Element).closest<HTMLElement>("button");
    if (button) follow(button);
  });
  group.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const all = buttons();
    const index = all.indexOf((event.target as Element).closest<HTMLElement>("button")!);
    const steps: Record<string, number> = {
      ArrowLeft: index - 1,
      ArrowUp: index - 1,
      ArrowRight: index + 1,
      ArrowDown: index + 1,
      Home: 0,
      End: all.length - 1,
    };
    const next = steps[event.key];
    if (index < 0 || next === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    all[Math.min(Math.max(next, 0), all.length - 1)].focus();
  });
  return { follow };
}
