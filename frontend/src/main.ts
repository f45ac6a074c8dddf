/** Entry point: mount every report of the page that is not mounted yet, once it is visible. */

import type { ComparisonPayload, Payload } from "./data/payload.generated";
import { save } from "./export/menu";
import { pageText } from "./export/page";
import { mount } from "./mount";

const HOST = "[data-model-understanding]:not([data-mounted])";
const whole = document.documentElement;
/** This script, for copies of the page. */
const script = document.currentScript?.textContent ?? "";

function mountAll(): void {
  for (const host of document.querySelectorAll<HTMLElement>(HOST)) {
    host.dataset.mounted = "waiting";
    const start = () => mountOne(host);
    if (host.dataset.modelUnderstanding === "page") start();
    else whenSeen(host, start);
  }
}

function mountOne(host: HTMLElement): void {
  const data = host.querySelector('script[type="application/json"]');
  const view = host.querySelector<HTMLElement>("[data-view-of-report]");
  const plain = host.querySelector<HTMLElement>("[data-plain]");
  if (!data || !view) return;
  try {
    const payload = JSON.parse(data.textContent ?? "") as Payload | ComparisonPayload;
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

function whenSeen(host: HTMLElement, start: () => void): void {
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    start();
  });
  observer.observe(host);
}

if (document.readyState === "loading") {
  whole.classList.add("mu-scripted"); // avoids a flash of the plain page
  document.addEventListener("DOMContentLoaded", mountAll);
} else {
  mountAll();
  requestAnimationFrame(mountAll); // some notebooks run an output's script before its elements exist
}
