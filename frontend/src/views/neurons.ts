/** The products of a query with its keys, dimension by dimension: why one head looks where it looks. */

import type { Context } from "../context";
import type { QueryKey } from "../data/payload.generated";
import { copy } from "../ui/clipboard";
import { h, picker, replace } from "../ui/dom";
import { number, percent } from "../ui/format";
import { bdi, button, card, note, table } from "../ui/parts";

export function neuronsView(context: Context): HTMLElement | null {
  const { model, store, theme, say } = context;
  const { neurons, attention, tables } = model.payload;
  if (!neurons) return null;
  const { held } = neurons;
  const name = ({ layer, head, table, query }: QueryKey) =>
    `layer ${layer}, head ${head}, from ${tables[table].labels[query]}`;
  let shown = 0;
  const choice = picker("Query", held.map(name), (place) => {
    shown = place;
    draw();
  });
  const rows = h("tbody");
  const words = note();
  /** The layer, the head and the query that the attention view stands at. */
  const chosen = (): [number | string, number | string, number | string] => {
    const { state } = store;
    const part = attention[state.map];
    return [part?.layers[state.layer] ?? -1, part?.heads[state.head] ?? 0, Math.max(state.focus, 0)];
  };
  const code = () => {
    const [layer, head, query] = chosen();
    const values: Record<string, unknown> = { LAYER: layer, HEAD: head, QUERY: query };
    return neurons.python.replace(/=(LAYER|HEAD|QUERY)\b/g, (_, word) => `=${values[word]}`);
  };
  const line = (found: QueryKey, place: number, most: number) => {
    const canvas = h("canvas", { width: found.width, height: 1, "aria-hidden": "true" });
    const pen = canvas.getContext("2d")!;
    const first = place * found.width;
    for (let i = 0; i < found.width; i++) {
      pen.fillStyle = theme.colors.score(found.products[first + i] / most, true);
      pen.fillRect(i, 0, 1, 1);
    }
    const label = tables[found.table].labels[found.keys[place]];
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, bdi(label)),
      h("td", {}, canvas),
      h("td", {}, number(found.additions[place])),
      h("td", {}, number(found.scores[place])),
      h("td", {}, percent(found.weights[place])),
    );
  };
  const draw = () => {
    const found = held[shown];
    const [layer, head] = chosen();
    words.textContent = `${found ? "The products of a row plus the added term sum to the key's score; the softmax over the scores gives the weights. " : ""}“Copy as Python” copies the code for layer ${layer}, head ${head} and the selected token; report.with_query_keys adds it to the page.`;
    if (!found) return;
    const most = Math.max(...found.products.map(Math.abs), 1e-9);
    replace(rows, ...found.keys.map((_, place) => line(found, place, most)));
    choice.show(shown);
  };
  store.watch(["map", "layer", "head", "focus"], ({ focus }) => {
    const [layer, head] = chosen();
    const of = (query: number) =>
      held.findIndex((one) => one.layer === layer && one.head === head && (query < 0 || one.query === query));
    const [exact, any] = [of(Math.max(focus, 0)), of(-1)];
    shown = exact >= 0 ? exact : any >= 0 ? any : shown;
    draw();
  });
  theme.watch(draw);
  const copied = button("Copy as Python", () => copy(code()).then(() => say("Copied as Python"), say));
  const names = ["key", "scale × query × key, per dimension", "added term", "score", "weight"];
  return card(
    "neurons",
    h("h2", {}, "Neuron view: query and keys of one head"),
    [held.length > 1 && choice.element, copied],
    held.length === 1 && h("h3", {}, name(held[0])),
    words,
    held.length > 0 &&
      h(
        "div",
        { class: "lens-table", tabindex: 0, role: "region", "aria-label": "Keys of this query" },
        table(names, rows),
      ),
  );
}
