/** The keys the selected token attends to most, or the queries that attend to it, as arcs and as a list. */

import type { Context } from "../../context";
import { type Row, topSources } from "../../data/matrices";
import type { Model } from "../../data/model";
import type { Plane, Planes } from "../../data/planes";
import { short, visible } from "../../data/units";
import { barShapes } from "../../scene/bars";
import { lines, type Path, type Scene, type Text } from "../../scene/scene";
import { sceneElement } from "../../scene/svg";
import type { State } from "../../state/store";
import { onRamp } from "../../ui/colors";
import { h, replace } from "../../ui/dom";
import { bdi, note } from "../../ui/parts";
import { roving } from "../../ui/roving";
import { weightWords } from "../../words";

/** Links in the list; of them, those drawn as arcs, with at least this share of the largest weight. */
const [SHOWN, DRAWN, FAINT] = [8, 5, 0.25];
const [BELOW, HIGHEST] = [72, 108];

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

/** The keys that receive most of a matrix's attention: the mean over its rows. */
export function averageLinks({ data, layer, head }: Plane, { sinks }: Readonly<State>): Link[] {
  const means = new Float32Array(data.keys);
  for (let row = 0; row < data.rows; row++) {
    data.row(layer, head, row, sinks).weights.forEach((weight, key) => {
      means[key] += weight / data.rows;
    });
  }
  const row = { weights: means, sinks: data.sinks(layer, head) };
  return topSources(row, sinks, SHOWN).map(({ key, weight }) => ({
    token: data.keyAxis.token(key),
    label: data.keyAxis.label(key),
    weight,
  }));
}

/** The links that are drawn without pointing at them: the largest, and none that is small beside them. */
export function strongLinks(links: readonly Link[]): Link[] {
  const peak = Math.abs(links[0]?.weight ?? 0);
  return links.filter(({ weight }) => Math.abs(weight) >= FAINT * peak).slice(0, DRAWN);
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
  const hint = note("Select a token to see what it attends to.");
  const element = h("div", { class: "arcs" }, heading, hint, picture, list);
  const group = roving(list);
  let plane: Plane | undefined;
  let selected: Links | null = null;

  const paint = (pointed?: Link) => {
    if (!plane || !selected?.links.length) return replace(picture);
    const { data, layer, head } = plane;
    // Arcs to some of many equal keys would be a pattern that is not there.
    if (data.scale(layer, head, store.state.sinks).isUniform && !pointed) return replace(picture);
    const scene = arcsScene(context, data.keyAxis.table, selected, picture.clientWidth || 360, pointed);
    return replace(picture, sceneElement(scene));
  };
  const draw = () => {
    if (!plane) return;
    const { data } = plane;
    const { state } = store;
    selected = linksOf(model, plane, state);
    paint();
    hint.hidden = !!selected;
    const links = selected?.links ?? averageLinks(plane, state);
    const { from, isQuery } = selected ?? {};
    if (!from) heading.textContent = "On average, most attention goes to";
    else if (!isQuery) replace(heading, bdi(`${from.label} is attended to most by`));
    else
      replace(
        heading,
        bdi(data.part.steps ? `Attention when writing “${from.label}”` : `${from.label} attends most to`),
      );
    const chart = {
      width: list.clientWidth || 300,
      rowHeight: 26,
      reach: Math.abs(links[0]?.weight ?? 0),
      signed: false,
      colors: theme.colors,
    };
    replace(
      list,
      ...links.map((link) => {
        const words = weightWords(data, state.sinks, link.weight);
        const label = visible(link.label);
        const row = {
          label,
          value: Math.abs(link.weight),
          words,
          fill: onRamp(theme.colors.palette.attention, 0.55),
        };
        return h(
          "li",
          {},
          h(
            "button",
            {
              type: "button",
              class: "source",
              on: {
                click: () => actions.select(link.token),
                pointerenter: () => paint(link),
                pointerleave: () => paint(),
                focus: () => paint(link),
                blur: () => paint(),
              },
            },
            h("span", { class: "unseen" }, `${label}: ${words}`),
            sceneElement({ width: chart.width, height: chart.rowHeight, shapes: barShapes(row, chart) }),
          ),
        );
      }),
    );
    group.follow();
    if (!links.length)
      replace(list, h("li", { class: "note" }, "Only attention sinks, or no stored weights."));
  };

  store.watch(["focus", "sinks", "attribution"], draw);
  theme.watch(draw);
  new ResizeObserver(draw).observe(element);
  return {
    element,
    show: (planes) => {
      plane = planes.detail;
      draw();
    },
  };
}

/** A line of tokens with an arc from the selected one to its strongest sources, or to one that is pointed at. */
export function arcsScene(
  { model, theme }: Context,
  table: number,
  { from, links }: Pick<Links, "from" | "links">,
  width: number,
  pointed?: Link,
): Scene {
  const { labels } = model.payload.tables[table];
  const { colors } = theme;
  const drawn = strongLinks(links);
  if (pointed && !drawn.includes(pointed)) drawn.push(pointed);
  const peak = Math.abs(links[0].weight) || 1;
  const labelByToken = new Map([from, ...drawn].map((end) => [end.token, end.label]));
  // The range is that of all links, so that pointing at one does not move the others.
  const [start, end] = tokenRange(
    [from, ...links].map((link) => link.token),
    labels.length,
  );
  const count = end - start + 1;
  const x = (token: number) => 14 + ((token - start + 0.5) / count) * (width - 28);
  const riseOf = (link: Link) =>
    link.token === from.token ? 30 : Math.min(HIGHEST, 14 + Math.abs(x(link.token) - x(from.token)) * 0.42);
  // Curves reach three quarters of the height of their control points.
  const base = 14 + 0.75 * Math.max(...links.map(riseOf));
  const spots = spread(
    [...labelByToken.keys()].sort((a, b) => a - b).map((token) => ({ token, x: x(token) })),
    width,
  );
  const ticks = Array.from({ length: Math.min(count, 256) }, (_, tick): [number, number][] => {
    const at = x(start + Math.floor((tick * count) / Math.min(count, 256)));
    return [
      [at, base - 3],
      [at, base + 3],
    ];
  });
  const arcs = [...drawn].reverse().map((link): Path => {
    const [a, b] = [x(from.token), x(link.token)];
    const rise = base - 6 - riseOf(link);
    const strength = Math.abs(link.weight) / peak;
    const [low, out] = [base - 6, 18];
    return {
      kind: "path",
      d:
        link.token === from.token
          ? `M${a - 5} ${low}C${a - out} ${low - 28} ${a + out} ${low - 28} ${a + 5} ${low}`
          : `M${a} ${low}C${a} ${rise} ${b} ${rise} ${b} ${low}`,
      stroke: onRamp(colors.palette.attention, 0.75),
      width: 1.5 + 3.5 * strength,
      opacity: pointed && link !== pointed ? 0.15 : 0.2 + 0.8 * strength,
    };
  });
  const leaders = spots.map((spot): [number, number][] => [
    [spot.x, base + 3],
    [spot.labelX, base + 10],
  ]);
  const words = spots.map(
    (spot): Text => ({
      kind: "text",
      x: spot.labelX,
      y: base + 14,
      turn: 45,
      text: short(labelByToken.get(spot.token) ?? ""),
      size: 11,
      weight: spot.token === from.token ? 700 : 400,
      fill: colors.get("text"),
    }),
  );
  const dot = { kind: "rect", x: x(from.token) - 4, y: base - 4, width: 8, height: 8, radius: 4 } as const;
  return {
    width,
    height: base + BELOW,
    background: colors.get("background"),
    shapes: [
      { kind: "path", d: lines(...ticks), stroke: colors.get("line"), width: 1 },
      ...arcs,
      { kind: "path", d: lines(...leaders), stroke: colors.get("muted"), width: 1 },
      { ...dot, fill: colors.get("text") },
      ...words,
    ],
  };
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
