/** The payload, with derived data computed once. */

import type { Axis } from "./axis";
import { FoldedMatrices } from "./folded";
import type { Matrices } from "./matrices";
import type { AnswerMark, Attribution, Generation, Payload, Reading, Table } from "./payload.generated";
import { StoredMatrices } from "./stored";
import { type Level, type Scores, scoresOf, type Unit, unitsOf } from "./units";

/** The part of the page's state that selects what is shown of the payload. */
export interface ViewState {
  /** The selection's two ends, as tokens of the table; -1 if none. */
  anchor: number;
  focus: number;
  attribution: number;
  /** The first and the last target whose scores are shown. */
  target: number;
  targetEnd: number;
  level: Level;
  map: number;
  layer: number;
  /** -1 is the mean over heads. */
  head: number;
}

export class Model {
  private readonly units = new Map<string, Unit[]>();
  private readonly stored = new Map<number, Promise<StoredMatrices>>();
  private readonly folded = new Map<string, FoldedMatrices>();
  private scored: { key: string; scores: Scores } | undefined;

  constructor(readonly payload: Payload) {}

  get generation(): Generation | null {
    return this.payload.generation;
  }

  attribution(state: Readonly<ViewState>): Attribution | undefined {
    return this.payload.attributions[state.attribution];
  }

  /** The table whose text is on screen. */
  tableIndex(state: Readonly<ViewState>): number {
    return this.attribution(state)?.table ?? 0;
  }

  table(state: Readonly<ViewState>): Table {
    return this.payload.tables[this.tableIndex(state)];
  }

  unitsOf(table: number, level: Level): Unit[] {
    const key = `${table} ${level}`;
    let units = this.units.get(key);
    if (!units) {
      units = unitsOf(this.payload.tables[table], level);
      this.units.set(key, units);
    }
    return units;
  }

  unitsShown(state: Readonly<ViewState>): Unit[] {
    return this.unitsOf(this.tableIndex(state), state.level);
  }

  /** The unit that a token belongs to, at the level shown. */
  unitOf(state: Readonly<ViewState>, token: number): number {
    return token < 0 ? -1 : (this.table(state).groups[state.level][token] ?? -1);
  }

  /** The first and last selected token; [-1, -1] if none. */
  span(state: Readonly<ViewState>): [number, number] {
    return [Math.min(state.anchor, state.focus), Math.max(state.anchor, state.focus)];
  }

  scores(state: Readonly<ViewState>): Scores | undefined {
    const attribution = this.attribution(state);
    if (!attribution) return undefined;
    const key = [state.attribution, state.target, state.targetEnd, state.level].join(" ");
    if (this.scored?.key !== key) {
      const units = this.unitsShown(state);
      const count = this.table(state).labels.length;
      const end = this.reading(state)?.ofPrompt ? this.generation?.promptLength : count;
      this.scored = { key, scores: scoresOf(attribution, units, count, state.target, state.targetEnd, end) };
    }
    return this.scored.scores;
  }

  /** What the map on screen says, and the verdict on it; undefined where it was not measured. */
  reading({ attribution, target, targetEnd }: Readonly<ViewState>): Reading | undefined {
    return this.payload.readings.find(
      (reading) =>
        reading.attribution === attribution && reading.first === target && reading.last === targetEnd,
    );
  }

  /** Whether the map is drawn faded: its scores do not predict the effect of removing tokens. */
  isFaded(state: Readonly<ViewState>): boolean {
    return this.reading(state)?.verdict === "not supported";
  }

  /** The parts of the text on screen that the answer is about. */
  marks(state: Readonly<ViewState>): readonly AnswerMark[] {
    const { answer } = this.payload;
    return answer && answer.table === this.tableIndex(state) ? answer.marks : [];
  }

  /** The targets of the whole answer: all steps if the attribution follows them, else the first target. */
  wholeOf(attribution: number): { target: number; targetEnd: number } {
    const { attributions, contrasts } = this.payload;
    const steps = attribution !== contrasts && this.followsSteps(attributions[attribution]);
    return { target: 0, targetEnd: steps ? attributions[attribution].targets.length - 1 : 0 };
  }

  /** Whether the steps of a generation are shown added up. */
  isWhole(state: Readonly<ViewState>): boolean {
    const { target, targetEnd } = this.wholeOf(state.attribution);
    return targetEnd > 0 && state.target === target && state.targetEnd === targetEnd;
  }

  /** The first attribution with a target for each step; -1 if none. */
  get bySteps(): number {
    const { attributions, contrasts } = this.payload;
    return attributions.findIndex((other, index) => index !== contrasts && this.followsSteps(other));
  }

  attention(map: number): Promise<StoredMatrices> {
    let data = this.stored.get(map);
    if (!data) {
      data = StoredMatrices.of(this.payload.attention[map], this.payload.tables);
      this.stored.set(map, data);
    }
    return data;
  }

  /** A map at a level; pooled maps cannot be folded. */
  async attentionAt(map: number, level: Level): Promise<Matrices> {
    const whole = await this.attention(map);
    if (level === "token" || whole.part.pooled > 1) return whole;
    const cacheKey = `${map} ${level}`;
    let folded = this.folded.get(cacheKey);
    if (!folded) {
      folded = new FoldedMatrices(whole, this.payload.tables, level);
      this.folded.set(cacheKey, folded);
    }
    return folded;
  }

  /** The index on an axis of a token of the table on screen; -1 if none. */
  axisIndex(axis: Axis, state: Readonly<ViewState>, token: number): number {
    return token < 0 || axis.table !== this.tableIndex(state) ? -1 : axis.indexOfToken(token);
  }

  /** Whether an attribution explains the generation steps, one target each. */
  followsSteps(attribution: Attribution | undefined): boolean {
    return !!this.generation && !!attribution && attribution.targets.every((target) => target.step >= 0);
  }

  /** Number of attributions in the list; contrasts are opened through their tokens. */
  get choices(): number {
    const { attributions, contrasts } = this.payload;
    return contrasts < 0 ? attributions.length : contrasts;
  }

  isContrast(state: Readonly<ViewState>): boolean {
    return state.attribution === this.payload.contrasts;
  }

  /** The target that explains why a step's token was generated and not another; -1 if none. */
  contrastOf(step: number, other: number): number {
    const contrasts = this.payload.attributions[this.payload.contrasts];
    return contrasts
      ? contrasts.targets.findIndex((target) => target.step === step && target.against === other)
      : -1;
  }

  /** The target that explains a step; -1 if none. */
  targetOfStep(attribution: Attribution | undefined, step: number): number {
    return attribution ? attribution.targets.findIndex((target) => target.step === step) : -1;
  }

  /** The step that generated a token of the generation's table; -1 if none. */
  stepOfToken(token: number): number {
    const { generation } = this;
    return generation && token >= generation.promptLength ? token - generation.promptLength : -1;
  }
}
