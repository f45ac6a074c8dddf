/** Whether the page is being printed, which shows everything in light colors. */

/** Call a listener when printing begins and ends, also for a preview; ends with the signal. */
export function onPrint(listener: (isPrinting: boolean) => void, signal: AbortSignal): void {
  const media = matchMedia("print");
  let was = false;
  const change = (isPrinting: boolean) => {
    if (isPrinting === was) return;
    was = isPrinting;
    listener(isPrinting);
  };
  media.addEventListener("change", () => change(media.matches), { signal });
  // Firefox changes the media only after it has laid out the page.
  addEventListener("beforeprint", () => change(true), { signal });
  addEventListener("afterprint", () => change(false), { signal });
  change(media.matches);
}
