/** The products of a query and its keys per dimension, which explain one head's attention weights. */

import type { Context } from "../context";
import type { QueryKey } from "../data/payload.generated";
import { pythonOf } from "../export/python";
import { copy } from "../ui/clipboard";
import { h, picker, replace } from "../ui/dom";
import { formatNumber, formatPercent } from "../ui/format";
import { bdi, button, card, note, table } from "../ui/parts";

export function neuronsView(context: Context): HTMLElement | null {
  const { model, store, theme, say } = context;
  const { neurons, attention, tables } = model.payload;
  if (!neurons) return null;
  const { held: queries } = neurons;
  const name = ({ layer, head, queryTable, query }: QueryKey) =>
    `layer ${layer}, head ${head}, from ${tables[queryTable].labels[query]}`;
  let shown = 0;
  const choice = picker("Query", queries.map(name), (index) => {
    shown = index;
    draw();
  });
  const rows = h("tbody");
  const words = note();
  /** The layer, head and query selected in the attention view. */
  const selection = (): [number | string, number | string, number | string] => {
    const { state } = store;
    const part = attention[state.map];
    return [part?.layers[state.layer] ?? -1, part?.heads[state.head] ?? 0, Math.max(state.focus, 0)];
  };
  const code = () => {
    const [layer, head, query] = selection();
    return pythonOf(
      neurons.python,
      new Map([
        ["LAYER", layer],
        ["HEAD", head],
        ["QUERY", query],
      ]),
    );
  };
  const line = (queryKey: QueryKey, index: number, largest: number) => {
    const canvas = h("canvas", { width: queryKey.width, height: 1, "aria-hidden": "true" });
    const pen = canvas.getContext("2d")!;
    const first = index * queryKey.width;
    for (let i = 0; i < queryKey.width; i++) {
      pen.fillStyle = theme.colors.score(queryKey.products[first + i] / largest, true);
      pen.fillRect(i, 0, 1, 1);
    }
    const label = tables[queryKey.table].labels[queryKey.keys[index]];
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, bdi(label)),
      h("td", {}, canvas),
      h("td", {}, formatNumber(queryKey.additions[index])),
      h("td", {}, formatNumber(queryKey.scores[index])),
      h("td", {}, formatPercent(queryKey.weights[index])),
    );
  };
  const draw = () => {
    const queryKey = queries[shown];
    const [layer, head] = selection();
    words.textContent = `${queryKey ? "The products of a row plus the added term sum to the key's score; the softmax over the scores gives the weights. " : ""}“Copy as Python” copies the code for layer ${layer}, head ${head} and the selected token; report.with_query_keys adds it to the page.`;
    if (!queryKey) return;
    const largest = Math.max(...queryKey.products.map(Math.abs), 1e-9);
    replace(rows, ...queryKey.keys.map((_, index) => line(queryKey, index, largest)));
    choice.show(shown);
  };
  store.watch(["map", "layer", "head", "focus"], ({ focus }) => {
    const [layer, head] = selection();
    const indexOf = (query: number) =>
      queries.findIndex(
        (item) => item.layer === layer && item.head === head && (query < 0 || item.query === query),
      );
    const [exact, any] = [indexOf(Math.max(focus, 0)), indexOf(-1)];
    shown = exact >= 0 ? exact : any >= 0 ? any : shown;
    draw();
  });
  theme.watch(draw);
  const copied = button("Copy as Python", () => copy(code()).then(() => say("Copied as Python"), say));
  const names = ["key", "scale × query × key, per dimension", "added term", "score", "weight"];
  return card(
    "neurons",
    h("h2", {}, "Neuron view: query and keys of one head"),
    [queries.length > 1 && choice.element, copied],
    queries.length === 1 && h("h3", {}, name(queries[0])),
    words,
    queries.length > 0 &&
      h(
        "div",
        { class: "lens-table", tabindex: 0, role: "region", "aria-label": "Keys of this query" },
        table(names, rows),
      ),
  );
}
