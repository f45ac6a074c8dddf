/** Mounts every result of the page that is not mounted yet, once it is visible. */

import { save } from "./export/menu";
import { pageText } from "./export/page";

export interface MountOptions {
  /** The result is the whole page: the address stores the view, shortcuts work everywhere. */
  readonly wholePage?: boolean;
  /** The page's size as text. */
  readonly size?: string | undefined;
  /** The view that a saved page opens in, as a fragment of an address. */
  readonly view?: string | undefined;
  /** Save a copy of the page that opens in a view. */
  readonly save?: (view: string, title: string) => void;
}

/** Draws a payload in an element. */
type Mount<P> = (element: HTMLElement, payload: P, options: MountOptions) => unknown;

const HOST = "[data-model-understanding]:not([data-mounted])";
const whole = document.documentElement;
/** This script, for copies of the page. */
const script = document.currentScript?.textContent ?? "";

/** Mount all results now and when the document is read. */
export function start<P extends object>(mount: Mount<P>): void {
  const all = () => mountAll(mount);
  if (document.readyState === "loading") {
    whole.classList.add("mu-scripted"); // avoids a flash of the plain page
    document.addEventListener("DOMContentLoaded", all);
  } else {
    all();
    requestAnimationFrame(all); // some notebooks run an output's script before its elements exist
  }
}

function mountAll<P extends object>(mount: Mount<P>): void {
  for (const host of document.querySelectorAll<HTMLElement>(HOST)) {
    host.dataset.mounted = "waiting";
    const begin = () => mountOne(host, mount);
    if (host.dataset.modelUnderstanding === "page") begin();
    else whenSeen(host, begin);
  }
}

function mountOne<P extends object>(host: HTMLElement, mount: Mount<P>): void {
  const data = host.querySelector('script[type="application/json"]');
  const view = host.querySelector<HTMLElement>("[data-view-of-report]");
  const plain = host.querySelector<HTMLElement>("[data-plain]");
  if (!data || !view) return;
  try {
    const payload = JSON.parse(data.textContent ?? "") as P;
    view.hidden = false;
    const kept = plain?.innerHTML ?? "";
    mount(view, payload, {
      wholePage: host.dataset.modelUnderstanding === "page",
      size: host.dataset.pageSize,
      view: host.dataset.opens,
      ...(script && "tables" in payload
        ? { save: (opens: string, title: string) => saveCopy(host, { title, opens, plain: kept, data }) }
        : {}),
    });
    plain?.remove();
    host.dataset.mounted = "yes";
  } catch (error) {
    // Keep the version that needs no script.
    view.hidden = true;
    if (plain) plain.hidden = false;
    whole.classList.remove("mu-scripted");
    host.dataset.mounted = "failed";
    console.error(error);
  }
}

/** Save the page, or a notebook's output as a page, so that it opens in a view. */
function saveCopy(
  host: HTMLElement,
  parts: { title: string; opens: string; plain: string; data: Element },
): void {
  const policy = document.querySelector<HTMLMetaElement>("meta[http-equiv=Content-Security-Policy]");
  const isPage = host.dataset.modelUnderstanding === "page";
  const text = pageText({
    title: parts.title,
    view: parts.opens,
    css: (host.querySelector("style") ?? document.querySelector("head style"))?.textContent ?? "",
    script,
    plain: parts.plain,
    payload: parts.data.textContent ?? "",
    name: host.classList[0] ?? "",
    policy: isPage ? (policy?.content ?? "") : "",
  });
  save("report.html", new Blob([text], { type: "text/html" }));
}

function whenSeen(host: HTMLElement, begin: () => void): void {
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    begin();
  });
  observer.observe(host);
}
