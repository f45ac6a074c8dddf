/** A copy of the page, or of a notebook's output as a page, that opens in a view. */

import { escaped } from "../scene/svg";

export interface PageParts {
  readonly title: string;
  /** The fragment of an address that names the view. */
  readonly view: string;
  readonly css: string;
  readonly script: string;
  /** The page without scripts, as markup. */
  readonly plain: string;
  /** The payload as it stands in its script element. */
  readonly payload: string;
  /** The class of the element that holds all of it. */
  readonly name: string;
  /** The content security policy of the page; empty in a notebook, which has none of its own. */
  readonly policy: string;
}

/** Allows the page's own script and style, and no request. */
const NO_NETWORK =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

export function pageText({ title, view, css, script, plain, payload, name, policy }: PageParts): string {
  // The script is one that a page may hold: it cannot close its element.
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escaped(policy || NO_NETWORK)}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)}</title>
<style>${css}</style>
<script>${script}</${"script"}>
</head>
<body class="${escaped(name)} mu-page" data-model-understanding="page" data-opens="${escaped(view)}">
<main data-plain>${plain}</main>
<div data-view-of-report hidden></div>
<script type="application/json">${payload}</${"script"}>
</body>
</html>
`;
}
