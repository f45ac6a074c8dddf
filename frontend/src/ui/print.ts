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

const PAPER = 690; // width between the margins of A4 and letter, in CSS pixels

/** Print what scrolls sideways on screen small enough for the paper. */
export function fitOnPaper(element: HTMLElement, signal: AbortSignal): void {
  onPrint((isPrinting) => {
    const zoom = isPrinting ? Math.min(1, PAPER / Math.max(element.scrollWidth, 1)) : 1;
    element.style.setProperty("zoom", zoom < 1 ? String(zoom) : "");
  }, signal);
}
