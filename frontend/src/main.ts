/** Entry point: mount every report of the page that is not mounted yet, once it is visible. */

import type { ComparisonPayload, Payload } from "./data/payload.generated";
import { mount } from "./mount";

const HOST = "[data-model-understanding]:not([data-mounted])";
const whole = document.documentElement;

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
    mount(view, payload, {
      wholePage: host.dataset.modelUnderstanding === "page",
      size: host.dataset.pageSize,
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
