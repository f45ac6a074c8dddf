/** Light or dark: the reader's choice, else the notebook's, else the system's. */

import type { Palettes } from "../data/payload.generated";
import type { ThemeChoice } from "../state/store";
import { Colors } from "./colors";
import { onPrint } from "./print";

export type ThemeName = "light" | "dark";

export class Theme {
  private readonly listeners: ((colors: Colors) => void)[] = [];
  private readonly both: Record<ThemeName, Colors>;
  private name: ThemeName;
  private choice: ThemeChoice = "auto";
  private isPrinting = false;

  constructor(
    palettes: Palettes,
    private readonly host: HTMLElement,
    private readonly sheet: CSSStyleSheet,
    signal: AbortSignal,
  ) {
    this.both = { light: new Colors(palettes.light), dark: new Colors(palettes.dark) };
    this.name = surrounding();
    const update = () => this.update();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", update, { signal });
    const observer = new MutationObserver(update);
    for (const marked of [document.documentElement, document.body]) {
      observer.observe(marked, { attributeFilter: MARKS });
    }
    signal.addEventListener("abort", () => observer.disconnect());
    this.apply();
    onPrint((isPrinting) => {
      this.isPrinting = isPrinting;
      this.update();
    }, signal);
  }

  get current(): ThemeName {
    return this.name;
  }

  get colors(): Colors {
    return this.both[this.name];
  }

  /** Call a listener now and after every change. */
  watch(listener: (colors: Colors) => void): void {
    this.listeners.push(listener);
    listener(this.colors);
  }

  choose(choice: ThemeChoice): void {
    this.choice = choice;
    this.update();
  }

  private update(): void {
    const chosen = this.choice === "auto" ? surrounding() : this.choice;
    const name = this.isPrinting ? "light" : chosen;
    if (name === this.name) return;
    this.name = name;
    this.apply();
    for (const listener of this.listeners) listener(this.colors);
  }

  private apply(): void {
    this.host.dataset.theme = this.name;
    this.sheet.replaceSync(`:host{color-scheme:${this.name};${this.colors.variables()}}`);
  }
}

/** Where a host says which theme it shows: JupyterLab, VS Code, Colab, marimo, pages of documentation. */
const MARKS = ["class", "data-jp-theme-light", "data-vscode-theme-kind", "theme", "data-theme"];

function surrounding(): ThemeName {
  const { body } = document;
  const jupyter = body.dataset.jpThemeLight;
  if (jupyter) return jupyter === "true" ? "light" : "dark";
  const kind = body.dataset.vscodeThemeKind ?? body.className;
  if (/vscode-(dark|high-contrast(?!-light))/.test(kind)) return "dark";
  if (/vscode-(light|high-contrast-light)/.test(kind)) return "light";
  for (const marked of [body, document.documentElement]) {
    const words = [...marked.classList, marked.getAttribute("theme"), marked.dataset.theme];
    if (words.some((word) => word === "dark" || word === "dark-theme")) return "dark";
    if (words.some((word) => word === "light" || word === "light-theme")) return "light";
  }
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}
