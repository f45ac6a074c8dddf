/** The effect of each source on each statement; a cell opens into the sentences of the source. */

import { clamp } from "../data/clamp";
import { exportMenu } from "../export/menu";
import { type Child, h, on, replace } from "../ui/dom";
import { counted } from "../ui/format";
import { bdi, button, note, numberAt } from "../ui/parts";
import { answerMapExport } from "./export";
import { isEstimate, LIT, litBy, type PageContext, select } from "./state";
import { effectBar } from "./why";
import { nats, paint } from "./words";

const MOST = 8; // sentences of an opened cell

export function matrixView(context: PageContext): HTMLElement | null {
  const { payload, store, theme } = context;
  if (!payload.statements.length || !payload.sources.length) return null;
  const every = payload.sources.map((_, index) => index);
  const columns = () => (store.state.all ? every : payload.columns);
  const box = h("div", {
    class: "scroll matrix-box",
    tabindex: 0,
    role: "group",
    "aria-label": "Table of effects",
  });
  const opened = h("div", { class: "opened-cell", "data-view": "opened" });
  const isGrouped = (source: number) => payload.sources[source].isEstimate;
  let cells: HTMLElement[][] = [];

  const build = () => {
    const shown = columns();
    cells = payload.statements.map(({ effects }, statement) =>
      shown.map((source) =>
        h(
          "button",
          {
            type: "button",
            class: "effect-cell token",
            tabindex: -1,
            "aria-pressed": "false",
            "data-statement": statement,
            "data-source": source,
            "aria-label": `Statement ${statement + 1}, source ${source + 1}: ${
              isGrouped(source) ? "estimated " : ""
            }effect ${nats(effects[source])}`,
          },
          isGrouped(source) ? "≈ " : "",
          nats(effects[source]),
        ),
      ),
    );
    if (cells[0]?.[0]) cells[0][0].tabIndex = 0;
    const head = shown.map((source) =>
      h(
        "th",
        { scope: "col", title: payload.sources[source].name, "data-source": source },
        `[${source + 1}]`,
        h("span", { class: "column-name" }, bdi(payload.sources[source].name)),
      ),
    );
    const rows = payload.statements.map(({ text, origin }, statement) =>
      h(
        "tr",
        { "data-statement": statement },
        h("th", { scope: "row", class: `is-${origin}` }, `${statement + 1}. `, bdi(text)),
        ...cells[statement].map((cell) => h("td", {}, cell)),
      ),
    );
    replace(
      box,
      h(
        "table",
        { class: "effects-table" },
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "statement"), ...head)),
        h("tbody", {}, ...rows),
      ),
    );
    draw();
  };
  const draw = () => {
    const { state } = store;
    const lit = litBy(payload, state);
    for (const row of cells)
      for (const cell of row) {
        const [statement, source] = [Number(cell.dataset.statement), Number(cell.dataset.source)];
        const { effects, sources } = payload.statements[statement];
        paint(cell, theme.colors, effects[source], payload, isGrouped(source));
        cell.classList.toggle("attributed", sources.includes(source));
        cell.setAttribute("aria-pressed", String(state.statement === statement && state.source === source));
      }
    for (const line of box.querySelectorAll<HTMLElement>("tbody tr"))
      line.classList.toggle("lit", lit.statements.has(Number(line.dataset.statement)));
    for (const name of box.querySelectorAll<HTMLElement>("thead [data-source]"))
      name.classList.toggle("lit", lit.sources.has(Number(name.dataset.source)));
  };
  const open = () => {
    const { statement, source } = store.state;
    replace(opened, ...(statement >= 0 && source >= 0 ? openedParts(context, statement, source) : []));
  };
  const focus = (row: number, column: number) => {
    const cell = cells[clamp(row, 0, cells.length - 1)][clamp(column, 0, cells[0].length - 1)];
    for (const each of cells.flat()) each.tabIndex = each === cell ? 0 : -1;
    cell.focus();
  };
  on(box, {
    click: (event) => {
      const [statement, source] = [numberAt(event, "statement"), numberAt(event, "source")];
      if (source < 0 && statement >= 0) select(store, statement, -1);
      else if (source >= 0) select(store, statement, source);
    },
    pointermove: (event) => {
      if (event.pointerType === "touch") return;
      store.set({ overStatement: numberAt(event, "statement"), overSource: numberAt(event, "source") });
    },
    pointerleave: () => store.set({ overStatement: -1, overSource: -1 }),
    focusin: (event) => {
      if (!(event.target as Element).matches(".effect-cell:focus-visible")) return;
      store.set({ overStatement: numberAt(event, "statement"), overSource: numberAt(event, "source") });
    },
    focusout: () => store.set({ overStatement: -1, overSource: -1 }),
    keydown: (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const row = cells.findIndex((line) => line.includes(event.target as HTMLElement));
      if (row < 0) return;
      const column = cells[row].indexOf(event.target as HTMLElement);
      const steps: Record<string, [number, number]> = {
        ArrowUp: [row - 1, column],
        ArrowDown: [row + 1, column],
        ArrowLeft: [row, column - 1],
        ArrowRight: [row, column + 1],
        Home: [row, 0],
        End: [row, cells[row].length - 1],
      };
      const step = steps[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      focus(...step);
    },
  });
  const toggle = button(`All ${payload.sources.length} sources`, () => store.set({ all: !store.state.all }));
  store.watch(["all"], ({ all }) => {
    toggle.setAttribute("aria-pressed", String(all));
    build();
  });
  store.watch([...LIT], draw);
  store.watch(["statement", "source"], open);
  theme.watch(() => {
    draw();
    open();
  });
  return h(
    "section",
    { class: "matrix-part", "aria-labelledby": "matrix-title", "data-view": "matrix" },
    h(
      "div",
      { class: "card-head" },
      h("h2", { id: "matrix-title" }, "Effect of each source on each statement"),
      h(
        "div",
        { class: "controls" },
        payload.columns.length < every.length && toggle,
        exportMenu(context.say, "Effects", () => answerMapExport(context), "Export", false, false),
      ),
    ),
    note("In nats. A cell opens into the sentences of its source; bold: the statement comes from it."),
    box,
    opened,
  );
}

function openedParts(context: PageContext, statement: number, source: number): Child[] {
  const { payload } = context;
  const { name, sentences, direction } = payload.sources[source];
  const effects = payload.statements[statement].sentences;
  const known = sentences.filter((each) => each.row >= 0);
  const sorted = [...known].sort(
    (a, b) =>
      Number(isEstimate(payload, a.row)) - Number(isEstimate(payload, b.row)) ||
      effects[b.row] - effects[a.row],
  );
  const lines = sorted
    .slice(0, MOST)
    .map(({ text, row, isTitle }) =>
      h(
        "li",
        {},
        h(
          "span",
          { dir: direction, class: "opened-text" },
          isTitle ? h("span", { class: "note" }, "title: ") : "",
          text.trim(),
        ),
        effectBar(context, effects[row], isEstimate(payload, row)),
        h(
          "strong",
          { class: "effect-value" },
          `${isEstimate(payload, row) ? "≈ " : ""}${nats(effects[row])}`,
        ),
      ),
    );
  const omitted = sorted.length - lines.length;
  const areEstimates = sorted.slice(0, MOST).some(({ row }) => isEstimate(payload, row));
  return [
    h("h3", {}, `Sentences of [${source + 1}] `, bdi(name), `: effect on statement ${statement + 1}`),
    known.length
      ? h("ol", {}, ...lines)
      : note("They were not removed one by one: only those of the sources with the largest effects were."),
    areEstimates && note("≈: an estimate. These sentences were not removed by themselves."),
    omitted > 0 && note(`and ${counted(omitted, "more sentence")}`),
  ];
}
