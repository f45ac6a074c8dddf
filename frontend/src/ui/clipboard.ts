/** The clipboard, also for pages opened from a file. */

import { h } from "./dom";

/** Copy text, also where the clipboard API is not available to pages opened from a file. */
export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { readonly: true, "aria-hidden": "true" });
    area.value = text;
    area.style.position = "fixed";
    area.style.opacity = "0";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) throw new Error("The browser blocked access to the clipboard.");
  }
}
