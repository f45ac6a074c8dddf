/** The keys the selected token attends to most, or the queries that attend to it, as arcs and as a list. */

import type { Context } from "../../context";
import { type Row, topSources } from "../../data/matrices";
import type { Model } from "../../data/model";
import type { Plane, Planes } from "../../data/planes";
import { short } from "../../data/units";
import type { State } from "../../state/store";
import { onRamp } from "../../ui/colors";
import { h, replace, svg } from "../../ui/dom";
import { bar, barLabel, barValue, bdi, track } from "../../ui/parts";
import { weightWords } from "../../words";

const SHOWN = 8;
const HEIGHT = 190;
const BASE = 116;

export interface Link {
  /** The first token of the other end. */
  readonly token: number;
  readonly label: string;
  readonly weight: number;
}

export interface Links {
  /** The selected unit. */
  readonly from: Omit<Link, "weight">;
  readonly links: Link[];
  /** Whether the selection is the query, else it is the key. */
  readonly isQuery: boolean;
  readonly row: Row | null;
}

/** The largest weights in the selection's row, or in its column if it has no row. */
export function linksOf(model: Model, { data, layer, head }: Plane, state: Readonly<State>): Links | null {
  const { rowAxis, keyAxis } = data;
  const row = model.axisIndex(rowAxis, state, state.focus);
  if (row >= 0) {
    const weightsOfRow = data.row(layer, head, row, state.sinks);
    const top = topSources(weightsOfRow, state.sinks, SHOWN);
    const links = top.map(({ key, weight }) => ({
      token: keyAxis.token(key),
      label: keyAxis.label(key),
      weight,
    }));
    return {
      from: { token: rowAxis.token(row), label: rowAxis.label(row) },
      links,
      isQuery: true,
      row: weightsOfRow,
    };
  }
  const key = model.axisIndex(keyAxis, state, state.focus);
  if (key < 0) return null;
  const links: Link[] = [];
  data.visit(layer, head, (line, column, weight) => {
    if (column === key && weight !== 0)
      links.push({ token: rowAxis.token(line), label: rowAxis.label(line), weight });
  });
  links.sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight) || a.token - b.token);
  const from = { token: keyAxis.token(key), label: keyAxis.label(key) };
  return { from, links: links.slice(0, SHOWN), isQuery: false, row: null };
}

export interface Arcs {
  readonly element: HTMLElement;
  show(planes: Planes): void;
}

export function arcsView(context: Context): Arcs {
  const { model, store, actions, theme } = context;
  const heading = h("h3", {});
  const picture = h("div", { class: "arcs-picture", "aria-hidden": "true" });
  const list = h("ol", { class: "sources" });
  const element = h("div", { class: "arcs" }, heading, picture, list);
  let plane: Plane | undefined;

  const draw = () => {
    if (!plane) return;
    const { data } = plane;
    const { state } = store;
    const selected = linksOf(model, plane, state);
    if (!selected) {
      heading.textContent = "Select a token to see what it attends to";
      replace(picture);
      replace(list);
      return;
    }
    const name = selected.from.label;
    if (!selected.isQuery) replace(heading, bdi(`${name} is attended to most by`));
    else
      replace(heading, bdi(data.part.steps ? `Attention when writing “${name}”` : `${name} attends most to`));
    replace(
      picture,
      arcs(context, data.keyAxis.table, selected.from, selected.links, picture.clientWidth || 360),
    );
    const peak = Math.abs(selected.links[0]?.weight ?? 0) || 1;
    replace(
      list,
      ...selected.links.map((link) => {
        const color = onRamp(theme.colors.palette.attention, 0.55);
        return h(
          "li",
          {},
          h(
            "button",
            { type: "button", class: "source", on: { click: () => actions.select(link.token) } },
            barLabel(short(link.label, 40)),
            track(bar((100 * Math.abs(link.weight)) / peak, color)),
            barValue(weightWords(data, state.sinks, link.weight)),
          ),
        );
      }),
    );
    if (!selected.links.length)
      replace(list, h("li", { class: "note" }, "Only attention sinks, or no stored weights."));
  };

  store.watch(["focus", "sinks", "attribution"], draw);
  theme.watch(draw);
  new ResizeObserver(draw).observe(picture);
  return {
    element,
    show: (planes) => {
      plane = planes.detail;
      draw();
    },
  };
}

/** A line of tokens with an arc from the selected one to each of its sources. */
export function arcs(
  { model, theme }: Context,
  table: number,
  from: Links["from"],
  links: readonly Link[],
  width: number,
): SVGSVGElement {
  const { labels } = model.payload.tables[table];
  const { colors } = theme;
  const peak = Math.max(...links.map((link) => Math.abs(link.weight)), 1e-9);
  const labelByToken = new Map([from, ...links].map((end) => [end.token, end.label]));
  const ends = [...labelByToken.keys()];
  const [start, end] = tokenRange(ends, labels.length);
  const count = end - start + 1;
  const x = (token: number) => 14 + ((token - start + 0.5) / count) * (width - 28);
  const spots = spread(
    [...ends].sort((a, b) => a - b).map((token) => ({ token, x: x(token) })),
    width,
  );
  const ticks = Array.from({ length: Math.min(count, 256) }, (_, tick) => {
    const token = start + Math.floor((tick * count) / Math.min(count, 256));
    return `M${x(token).toFixed(1)} ${BASE - 3}v6`;
  });
  const paths = [...links].reverse().map((link) => {
    const [a, b] = [x(from.token), x(link.token)];
    const rise = Math.min(BASE - 8, 14 + Math.abs(b - a) * 0.42);
    const strength = Math.abs(link.weight) / peak;
    const d =
      link.token === from.token
        ? `M${a - 5} ${BASE - 6}c-14 -26 24 -26 10 0`
        : `M${a} ${BASE - 6}C${a} ${BASE - 6 - rise} ${b} ${BASE - 6 - rise} ${b} ${BASE - 6}`;
    return svg("path", {
      d,
      fill: "none",
      stroke: onRamp(colors.palette.attention, 0.3 + 0.6 * strength),
      "stroke-width": (1 + 4 * strength).toFixed(2),
      "stroke-linecap": "round",
    });
  });
  const words = spots.map((spot) =>
    svg(
      "text",
      {
        transform: `translate(${spot.labelX.toFixed(1)} ${BASE + 14}) rotate(45)`,
        "font-size": 11,
        "font-family": "system-ui, sans-serif",
        "font-weight": spot.token === from.token ? 700 : 400,
        fill: colors.get("text"),
      },
      short(labelByToken.get(spot.token) ?? ""),
    ),
  );
  const leaders = spots.map(
    (spot) => `M${spot.x.toFixed(1)} ${BASE + 3}L${spot.labelX.toFixed(1)} ${BASE + 10}`,
  );
  return svg(
    "svg",
    { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}` },
    svg("path", { d: ticks.join(""), stroke: colors.get("line"), "stroke-width": 1 }),
    ...paths,
    svg("path", { d: leaders.join(""), stroke: colors.get("muted"), "stroke-width": 1, fill: "none" }),
    svg("circle", { cx: x(from.token), cy: BASE, r: 4, fill: colors.get("text") }),
    ...words,
  );
}

/** The first and last token drawn: everything between the ends, padded to at least a dozen. */
export function tokenRange(ends: readonly number[], count: number): [number, number] {
  let [start, end] = [Math.min(...ends), Math.max(...ends)];
  while (end - start < 11 && (start > 0 || end < count - 1)) {
    if (start > 0) start--;
    if (end < count - 1) end++;
  }
  return [start, end];
}

/** Space labels so that none overlap. */
export function spread<T extends { x: number }>(
  spots: readonly T[],
  width: number,
  gap = 15,
): (T & { labelX: number })[] {
  const out = spots.map((spot) => ({ ...spot, labelX: spot.x }));
  for (let index = 1; index < out.length; index++) {
    out[index].labelX = Math.max(out[index].labelX, out[index - 1].labelX + gap);
  }
  let limit = width - 52;
  for (let index = out.length - 1; index >= 0; index--) {
    out[index].labelX = Math.min(out[index].labelX, limit);
    limit = out[index].labelX - gap;
  }
  return out;
}
