import { describe, expect, it } from "vitest";
import { fragmentOf, stateOf } from "../src/dataset/address";
import { folderOf, quoted } from "../src/dataset/folder";
import { sortedBy } from "../src/dataset/listed";
import { found, normalized, occurrences, ordered } from "../src/dataset/order";
import { aligned, domainOf, placeOf } from "../src/dataset/range";
import { INITIAL } from "../src/dataset/state";

describe("words", () => {
  it("are compared without case and the punctuation around them, whatever the script", () => {
    expect(["Good,", "“Don’t”", "c++", "...", "精彩。", "🎬"].map(normalized)).toEqual([
      "good",
      "don’t",
      "c",
      "...",
      "精彩",
      "🎬",
    ]);
  });

  it("occur where the text has them; in a phrase there may be punctuation between them", () => {
    const parts = ["", "Not", " ", "good", "; ", "Good", " and ", "not", "", ",", " ", "good", "."];
    expect([...occurrences(parts, "good")]).toEqual([1, 2, 5]);
    expect([...occurrences(parts, "not good")]).toEqual([0, 1, 3, 5]);
    expect([...occurrences(parts, "")]).toEqual([]);
  });

  it("are found by a part of them", () => {
    expect(found(["Superb", "herb", "dull"], " ERB ")).toEqual([0, 1]);
  });
});

describe("the order of a column", () => {
  const values = [3, null, 1, 3];
  it("keeps equal lines in place and puts lines without a value last", () => {
    expect(ordered([0, 1, 2, 3], (line) => values[line], "up")).toEqual([2, 0, 3, 1]);
    expect(ordered([0, 1, 2, 3], (line) => values[line], "down")).toEqual([0, 3, 2, 1]);
  });

  it("turns with the second click and goes with the third", () => {
    const first = sortedBy({ sort: "", order: "down" }, "count");
    const second = sortedBy(first, "count");
    expect([first, second, sortedBy(second, "count")]).toEqual([
      { sort: "count", order: "down" },
      { sort: "count", order: "up" },
      { sort: "", order: "down" },
    ]);
    expect(sortedBy(first, "word")).toEqual({ sort: "word", order: "up" });
  });
});

describe("ranges", () => {
  it("hold zero and every interval", () => {
    expect(domainOf([0.3, 0.6], [0.2, 0.5], [0.4, 0.9])).toEqual({ low: 0, high: 0.9 });
    expect(domainOf([-0.2], [-0.3], [0.1])).toEqual({ low: -0.3, high: 0.1 });
    expect(domainOf([], [], [])).toEqual({ low: 0, high: 1 });
  });

  it("leave the values visible where an interval is very wide", () => {
    expect(domainOf([1, 2], [0.5, -30], [1.5, 40])).toEqual({ low: -4, high: 4 });
    expect(placeOf(0, { low: -1, high: 3 })).toBe(25);
  });

  it("have numbers with the same decimals", () => {
    const written = aligned([0.82, -0.0001]);
    expect([0.82, 0.5, -0.0001, -0.02].map(written)).toEqual(["0.820", "0.500", "0.000", "−0.020"]);
    expect(aligned([12345])(12345)).toBe("12345");
    expect(aligned([])(0)).toBe("0.00");
  });
});

describe("the folder of a run", () => {
  const at = (pathname: string, protocol = "file:") => ({ protocol, pathname });
  it("is where the page lies, if it lies in it", () => {
    expect(folderOf("my run", at("/home/me/my%20run/summary.html"))).toBe("/home/me/my run");
    expect(folderOf("run", at("/C:/data/run/summary.html"))).toBe("C:/data/run");
    expect(folderOf("run", at("/downloads/summary.html"))).toBe("path/to/run");
    expect(folderOf("run", at("/x/run/summary.html", "https:"))).toBe("path/to/run");
    expect(folderOf("run", at("/%E0%A4%A/run/summary.html"))).toBe("path/to/run");
  });

  it("is quoted for a shell", () => {
    expect(quoted("/home/me/run-1")).toBe("/home/me/run-1");
    expect(quoted("it's $x")).toBe(`'it'"'"'s $x'`);
  });
});

describe("an address", () => {
  it("gives the state back, and ignores what does not fit", () => {
    const state = { ...INITIAL, answer: 2, word: "a & b=c #精彩", sort: "count", cell: "0-1", open: "about" };
    expect(stateOf(`#${fragmentOf(state)}`, 3)).toEqual(state);
    expect(stateOf("#answer=9&kind=x&cell=a&sort=A1&open=<b>", 3)).toEqual(INITIAL);
  });
});
