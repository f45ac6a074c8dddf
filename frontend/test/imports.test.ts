import { readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { describe, expect, it } from "vitest";

/** Top-level folders and files of src; each may import itself and those after it. */
const ORDER = [
  "main.ts",
  "mount.ts",
  "dataset",
  "ledger",
  "sources",
  "start.ts",
  "comparison",
  "views",
  "context.ts",
  "export",
  "words.ts",
  "scene",
  "ui",
  "state",
  "data",
];

const src = new URL("../src/", import.meta.url);
const files = readdirSync(src, { recursive: true, encoding: "utf8" })
  .map((file) => file.replaceAll("\\", "/"))
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"));
const imports = files.flatMap((file) =>
  [...readFileSync(new URL(file, src), "utf8").matchAll(/^(?:import|export|\}).* from "(\..*)";$/gm)]
    .map(([, path]) => ({ file, target: `${posix.join(posix.dirname(file), path)}.ts` }))
    .filter(({ target }) => !target.endsWith(".css.ts")),
);

/** The files of a folder within a top-level one belong together; others stand alone. */
const nodeOf = (file: string) => (posix.dirname(file).includes("/") ? posix.dirname(file) : file);

describe("imports", () => {
  it("are read, and lead to files that exist", () => {
    expect(imports.length).toBeGreaterThan(200);
    expect(imports.filter(({ target }) => !files.includes(target))).toEqual([]);
  });

  it("go down the order", () => {
    const rank = (file: string) => ORDER.indexOf(file.split("/")[0]);
    expect(files.filter((file) => rank(file) < 0)).toEqual([]);
    const upward = imports.filter(({ file, target }) => rank(target) < rank(file));
    expect(upward.map(({ file, target }) => `${file} imports ${target}`)).toEqual([]);
  });

  it("form no circle, neither of files nor of folders", () => {
    const graph = new Map<string, Set<string>>();
    for (const { file, target } of imports) {
      const [from, to] = [nodeOf(file), nodeOf(target)];
      if (from !== to) graph.set(from, (graph.get(from) ?? new Set()).add(to));
    }
    // A node whose imports are all removed is in no circle: remove it too, until none is left.
    for (let before = -1; before !== graph.size; ) {
      before = graph.size;
      for (const [node, targets] of graph) {
        if (![...targets].some((target) => graph.has(target))) graph.delete(node);
      }
    }
    expect([...graph.keys()]).toEqual([]);
  });
});
