/** Thumbnails of all heads on one canvas, in order or ranked by a score and cut to the top. */

import type { Context } from "../../context";
import { clamp } from "../../data/clamp";
import type { Matrices } from "../../data/matrices";
import type { Attention } from "../../data/payload.generated";
import { whole } from "../../state/window";
import { canvasOf, cleared, sized } from "../../ui/canvas";
import { h, on, picker, replace } from "../../ui/dom";
import { counted } from "../../ui/format";
import { card, note } from "../../ui/parts";
import { mapWords } from "../../words";
import { paintCells } from "../heatmap/cells";
import { gridLayout, type Layout, rankedLayout, spot, thumbnailAt } from "./layout";
import { computedBy, type Ranking, ranked, scoredBy, scoreWords } from "./rankings";
import { headScores } from "./scores";

const TOPS = [0, 8, 16, 32, 64];
const FONT = "11px system-ui, sans-serif";

/** The map whose heads are shown beside a selected one: itself, else the one of its kind with most heads. */
export function mapOfHeads(parts: readonly Attention[], selected: number): number {
  const planes = ({ layers, heads }: Attention) => Math.max(layers.length, 1) * Math.max(heads.length, 1);
  const { map, steps, heads } = parts[selected];
  if (heads.length > 1) return selected;
  let best = selected;
  for (const [index, other] of parts.entries()) {
    if (other.map !== map || other.steps !== steps || other.heads.length < 2) continue;
    if (parts[best].heads.length < 2 || planes(other) > planes(parts[best])) best = index;
  }
  return best;
}

export function headsView(context: Context): HTMLElement | null {
  const { model, store, theme, tooltip, bring } = context;
  const { attention } = model.payload;
  if (!attention.some(({ layers, heads }) => layers.length > 1 || heads.length > 1)) return null;
  const base = h("canvas", { class: "matrix" });
  const over = h("canvas", {
    class: "matrix over heads",
    tabindex: 0,
    role: "img",
    "aria-label": "Thumbnails of all heads",
    "data-view": "heads",
  });
  const box = h("div", { class: "heads-box" }, h("div", { class: "heads-picture" }, base, over));
  const words = note();
  const scoreNote = h("p", { class: "note", role: "status", "data-role": "head-scores" });
  const order = h("span", {});
  const top = picker(
    "Show",
    TOPS.map((count) => (count ? `top ${count}` : "all heads")),
    (option) => store.set({ topHeads: TOPS[option] }),
  );
  const element = card("heads-part", h("h3", {}, "All heads"), [order, top.element], words, scoreNote, box);
  /** The map whose heads are shown, and its matrices. */
  let shownMap = -1;
  let data: Matrices | undefined;
  let rankings: Ranking[] = [];
  let shownHeads: number[] = [];
  let layout: Layout = gridLayout(1, 1, 400);
  let loaded = 0;
  /** Cached thumbnails, and the settings they were painted with. */
  let painted = "";
  const thumbnails = new Map<number, HTMLCanvasElement>();

  const rankingShown = (): Ranking | undefined => rankings[store.state.ranking - 1];
  const split = (index: number): [number, number] => [
    Math.floor(index / data!.headCount),
    index % data!.headCount,
  ];
  const named = (index: number) => {
    const [layer, head] = split(index);
    const { layers, heads } = data!.part;
    return `layer ${layers[layer] ?? "all"}, head ${heads[head] ?? "all"}`;
  };

  const draw = () => {
    if (!data || !box.clientWidth) return;
    const { state } = store;
    const { layerCount, headCount } = data;
    const ranking = rankingShown();
    shownHeads = ranked(ranking, layerCount * headCount, state.topHeads);
    const room = box.clientWidth;
    layout = ranking ? rankedLayout(shownHeads.length, room) : gridLayout(layerCount, headCount, room);
    const { size, width, height } = layout;
    const cacheKey = [
      shownMap,
      state.sinks,
      state.scale,
      theme.current,
      size,
      state.scale === "global" && loaded,
    ];
    if (painted !== cacheKey.join(" ")) {
      painted = cacheKey.join(" ");
      thumbnails.clear();
    }
    const pen = sized(base, width, height);
    sized(over, width, height);
    pen.font = FONT;
    pen.textBaseline = "middle";
    pen.strokeStyle = theme.colors.get("line");
    pen.lineWidth = 1;
    shownHeads.forEach((index, position) => {
      const [x, y] = spot(layout, position);
      if (ranking) caption(pen, ranking, index, x, y + size + 9);
      else headings(pen, index, x, y);
      const thumbnail = thumbnailOf(index);
      if (!thumbnail) return;
      pen.imageSmoothingEnabled = thumbnail.width > size;
      pen.drawImage(thumbnail, x, y, size, size);
      pen.strokeRect(x - 0.5, y - 0.5, size + 1, size + 1);
    });
    describe();
    outline();
  };

  const thumbnailOf = (index: number): HTMLCanvasElement | undefined => {
    const [layer, head] = split(index);
    if (!data?.isLoaded(layer)) return undefined;
    let thumbnail = thumbnails.get(index);
    if (!thumbnail) {
      const maxDots = Math.min(layout.size * (devicePixelRatio || 1), 96);
      const plane = { data, layer, head };
      thumbnail = canvasOf(paintCells(plane, store.state, theme.colors, whole(data), maxDots));
      thumbnails.set(index, thumbnail);
    }
    return thumbnail;
  };

  const caption = (pen: CanvasRenderingContext2D, ranking: Ranking, index: number, x: number, y: number) => {
    const [layer, head] = split(index);
    const { layers, heads } = data!.part;
    pen.fillStyle = theme.colors.get("muted");
    pen.textAlign = "left";
    pen.fillText(`${layers[layer] ?? ""}·${heads[head] ?? ""}`, x, y);
    pen.fillStyle = theme.colors.get("text");
    pen.textAlign = "right";
    pen.fillText(scoreWords(ranking, index), x + layout.size, y);
  };

  /** Head numbers above each block, layer numbers before each row. */
  const headings = (pen: CanvasRenderingContext2D, index: number, x: number, y: number) => {
    const [layer, head] = split(index);
    const { size, rows } = layout;
    const { layers, heads } = data!.part;
    pen.fillStyle = theme.colors.get("muted");
    pen.textAlign = "center";
    if (layer % rows === 0 && head % (size < 26 ? 2 : 1) === 0)
      pen.fillText(String(heads[head] ?? "all"), x + size / 2, 12);
    pen.textAlign = "right";
    if (head === 0) pen.fillText(String(layers[layer] ?? "all"), x - 8, y + size / 2);
  };

  const selectedHead = () => {
    const { map, layer, head } = store.state;
    if (!data || map !== shownMap || (head < 0 && data.headCount > 1)) return -1;
    return layer * data.headCount + Math.max(head, 0);
  };
  const outline = () => {
    if (!data) return;
    const pen = cleared(over);
    const position = shownHeads.indexOf(selectedHead());
    if (position < 0) return;
    const [x, y] = spot(layout, position);
    pen.strokeStyle = theme.colors.get("text");
    pen.lineWidth = 2.5;
    pen.strokeRect(x - 0.5, y - 0.5, layout.size + 1, layout.size + 1);
  };
  const describe = () => {
    if (!data) return;
    const { state } = store;
    const { layerCount, headCount } = data;
    const count = layerCount * headCount;
    const ranking = rankingShown();
    const scale = { row: "per row", head: "per head", global: "for all heads" }[state.scale];
    const { heads, headWords, layers, layerWords } = data.part;
    const lines = layers.length ? counted(layerCount, "layer") : layerWords;
    const across = heads.length ? ` × ${counted(headCount, "head")}` : `, ${headWords}`;
    const extent = `${shownMap === state.map ? "" : `Map: ${mapWords(data.part)}. `}${lines}${across}; one color scale ${scale}. `;
    const how = ranking
      ? `Sorted by ${ranking.name}: ${ranking.meaning}. Captions: layer·head and score.` +
        (shownHeads.length < count ? ` Top ${shownHeads.length} of ${count}.` : "")
      : heads.length
        ? "Rows are layers, columns are heads."
        : data.part.isAttention
          ? 'Single heads are not in this page; compute_attention(text, layer="all", head="all", keep="top:16") computes them.'
          : "This map joins all heads.";
    const reading = loaded < layerCount ? ` Reading layer ${loaded + 1} of ${layerCount} …` : "";
    words.textContent = extent + how + reading;
    const selected = selectedHead();
    scoreNote.hidden = !rankings.length;
    scoreNote.textContent = selected < 0 ? "Select a head to see its scores." : `${scoresWords(selected)}.`;
    over.setAttribute(
      "aria-label",
      `Thumbnails of ${shownHeads.length} heads${ranking ? `, sorted by ${ranking.name}` : ""}. Arrow keys select one.`,
    );
    top.element.hidden = !ranking;
  };
  const rankOf = (ranking: Ranking, index: number) =>
    `rank ${ranked(ranking, ranking.scores.length, 0).indexOf(index) + 1} of ${ranking.scores.length}`;
  const scoresWords = (index: number) => {
    const ranking = rankingShown();
    const each = rankings.map(
      (item) =>
        `${item.name} ${scoreWords(item, index)}${item === ranking ? ` (${rankOf(item, index)})` : ""}`,
    );
    const [layer, head] = split(index);
    if (data!.scale(layer, head, store.state.sinks).isUniform) each.push("nearly uniform");
    return `${named(index)}: ${each.join(" · ")}`.replace(/^l/, "L");
  };

  const headAt = (event: MouseEvent): number => {
    const bounds = over.getBoundingClientRect();
    return shownHeads[thumbnailAt(layout, event.clientX - bounds.left, event.clientY - bounds.top)] ?? -1;
  };
  const choose = (index: number) => {
    if (!data || index < 0) return;
    const [layer, head] = split(index);
    store.set({ map: shownMap, layer, head });
    bring("attention");
  };
  on(over, {
    pointermove: (event) => {
      const index = headAt(event);
      if (index < 0 || !rankings.length) return tooltip.hide();
      const rows = rankings.map((item): [string, string] => [item.name, scoreWords(item, index)]);
      return tooltip.show(event, named(index), rows);
    },
    pointerleave: () => tooltip.hide(),
    click: (event) => choose(headAt(event)),
    keydown: (event) => {
      const { columns } = layout;
      const steps: Record<string, number> = {
        ArrowLeft: -1,
        ArrowRight: 1,
        ArrowUp: -columns,
        ArrowDown: columns,
        Home: -shownHeads.length,
        End: shownHeads.length,
      };
      const step = steps[event.key];
      if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      const position = shownHeads.indexOf(selectedHead());
      const next = position < 0 ? 0 : position + step;
      // Up and down stop at the first and last row.
      const isOut = Math.abs(step) === columns && columns > 1 && (next < 0 || next >= shownHeads.length);
      choose(shownHeads[isOut ? position : clamp(next, 0, shownHeads.length - 1)]);
    },
  });

  const offer = () => {
    const names = rankings.map(({ name }) => name);
    const choice = picker("Sort by", ["layer and head", ...names], (ranking) => store.set({ ranking }));
    choice.show(store.state.ranking);
    replace(order, choice.element);
  };
  store.watch(["layer", "head"], () => {
    outline();
    describe();
  });
  store.watch(["topHeads"], ({ topHeads }) => top.show(Math.max(TOPS.indexOf(topHeads), 0)));
  store.watch(["ranking"], offer);
  store.watch(["sinks", "scale", "ranking", "topHeads"], draw);
  theme.watch(draw);
  new ResizeObserver(draw).observe(box);

  const show = async (map: number) => {
    shownMap = map;
    const shown = await model.attention(map);
    if (shownMap !== map) return;
    data = shown;
    painted = "";
    rankings = [];
    element.hidden = shown.layerCount * shown.headCount < 2;
    if (element.hidden) return;
    const scored = scoredBy(model.payload.heads, shown);
    rankings = scored ?? [];
    offer();
    const computed = [];
    for (loaded = 0; loaded < shown.layerCount; loaded++) {
      await shown.load(loaded);
      if (data !== shown) return;
      if (!scored)
        for (let head = 0; head < shown.headCount; head++) computed.push(headScores(shown, loaded, head));
      if (loaded % 3 === 2) draw();
    }
    if (!scored) rankings = computedBy(computed, shown.part.pooled <= 1 && shown.part.stack !== "cross");
    offer();
    draw();
  };
  store.watch(["map"], (state) => {
    const map = mapOfHeads(attention, state.map);
    if (map !== shownMap) void show(map);
    else {
      outline();
      describe();
    }
  });
  return element;
}
