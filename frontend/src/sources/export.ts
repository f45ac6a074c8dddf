/** Exports the table of effects: as a picture, and with its sentences as a table. */

import { csv } from "../export/csv";
import type { Exported } from "../export/menu";
import { fitted, isolated, measured } from "../scene/font";
import { type Scene, type Shape, titled } from "../scene/scene";
import { type Colors, textOn } from "../ui/colors";
import { isEstimate, type PageContext } from "./state";
import { nats, strengthOf } from "./words";

const [SIZE, SMALL] = [12, 11];
const [ROW, COLUMN, HEAD] = [28, 104, 44];
const LONGEST = 340; // of a statement
const GAP = 2; // between cells

/** A row of the table: what a source, or one of its sentences, does to a statement. */
interface Row {
  readonly statement: number;
  readonly text: string;
  readonly origin: string;
  readonly number: number;
  readonly source: string;
  readonly sentence: string | null;
  readonly is_title: boolean;
  readonly effect: number | null;
  readonly screened: number | null;
  readonly attributed: boolean;
}

/** The columns of `to_dataframe()` that a page has the data of, and the numbers of its statements and sources. */
const COLUMNS = [
  "statement",
  "text",
  "origin",
  "number",
  "source",
  "sentence",
  "is_title",
  "effect",
  "screened",
  "attributed",
] as const satisfies (keyof Row)[];

export function answerMapExport({ payload, store, theme }: PageContext): Exported {
  const { title, question, note } = payload;
  return {
    name: "answer-map",
    scene: () => {
      const shown = store.state.all ? payload.sources.map((_, index) => index) : payload.columns;
      const notes = [question && `Question: ${isolated(question)}`, "Effects in nats.", note].filter(Boolean);
      return titled(effectsScene(payload, shown, theme.colors), title, notes, theme.colors);
    },
    csv: () =>
      csv(
        COLUMNS,
        rowsOf(payload).map((row) =>
          COLUMNS.map((name) => (typeof row[name] === "boolean" ? String(row[name]) : row[name])),
        ),
      ),
    json: () => ({
      title,
      question,
      answer: payload.runs.map((run) => run.text).join(""),
      rows: rowsOf(payload),
    }),
  };
}

type Exportable = Pick<PageContext["payload"], "statements" | "sources" | "scale" | "reach">;

export function rowsOf(payload: PageContext["payload"]): Row[] {
  const { statements, sources } = payload;
  return statements.flatMap(({ text, origin, effects, sentences, attributed }, statement) =>
    sources.flatMap((source, index) => {
      const part = attributed.find((each) => each.source === index);
      const of = { statement: statement + 1, text, origin, number: index + 1, source: source.name };
      const known = source.sentences.flatMap((sentence, place): Row[] => {
        if (sentence.row < 0) return [];
        const effect = sentences[sentence.row];
        const isEstimated = isEstimate(payload, sentence.row);
        return [
          {
            ...of,
            sentence: sentence.text.trim(),
            is_title: sentence.isTitle,
            effect: isEstimated ? null : effect,
            screened: isEstimated ? effect : null,
            attributed: part?.sentence === place,
          },
        ];
      });
      const whole: Row = {
        ...of,
        sentence: null,
        is_title: false,
        effect: source.isEstimate ? null : effects[index],
        screened: source.isEstimate ? effects[index] : null,
        attributed: part !== undefined,
      };
      return [whole, ...known];
    }),
  );
}

/** The table of statements and sources as a heat map. */
function effectsScene(payload: Exportable, shown: readonly number[], colors: Colors): Scene {
  const { statements, sources, scale, reach } = payload;
  const names = statements.map(({ text }, index) => fitted(`${index + 1}. ${isolated(text)}`, LONGEST, SIZE));
  const left = Math.ceil(Math.max(0, ...names.map((name) => measured(name, SIZE)))) + 16;
  const shapes: Shape[] = shown.flatMap((source, column): Shape[] => {
    const x = left + COLUMN * column + COLUMN / 2;
    const name = fitted(isolated(sources[source].name), COLUMN - 8, SMALL);
    return [
      {
        kind: "text",
        x,
        y: 10,
        text: `[${source + 1}]`,
        size: SIZE,
        fill: colors.get("text"),
        anchor: "middle",
      },
      { kind: "text", x, y: 27, text: name, size: SMALL, fill: colors.get("muted"), anchor: "middle" },
    ];
  });
  for (const [row, { effects, sources: own, origin }] of statements.entries()) {
    const top = HEAD + ROW * row;
    const y = top + ROW / 2;
    const fill = colors.get(origin === "nothing" ? "unsupported" : "text");
    shapes.push({ kind: "text", x: 0, y, text: names[row], size: SIZE, fill });
    for (const [column, source] of shown.entries()) {
      const face = colors.score(reach * strengthOf(effects[source], scale), true);
      const x = left + COLUMN * column;
      shapes.push(
        { kind: "rect", x, y: top, width: COLUMN - GAP, height: ROW - GAP, fill: face, radius: 4 },
        {
          kind: "text",
          x: x + COLUMN / 2,
          y: y - GAP / 2,
          text: `${sources[source].isEstimate ? "≈ " : ""}${nats(effects[source])}`,
          size: SIZE,
          fill: textOn(face),
          anchor: "middle",
          weight: own.includes(source) ? 680 : 400,
        },
      );
    }
  }
  return {
    width: left + COLUMN * shown.length,
    height: HEAD + ROW * statements.length,
    background: colors.get("background"),
    shapes,
  };
}
