/** The reader's actions; each changes the shared state. */

import { clamp } from "../data/clamp";
import type { Model } from "../data/model";
import type { Level } from "../data/units";
import type { State, Store } from "./store";

export class Actions {
  constructor(
    private readonly model: Model,
    private readonly store: Store,
  ) {}

  /** Select a token, or extend the selection to it; of a generated word, its tokens are explained. */
  select(token: number, options: { extend?: boolean; pin?: boolean } = {}): void {
    const { state } = this.store;
    const anchor = options.extend && state.anchor >= 0 ? state.anchor : token;
    const patch: Partial<State> = { anchor, focus: token, pinned: options.pin ?? true };
    this.store.set({ ...patch, ...this.targetsFor(this.bounds(anchor, token)) });
  }

  /** Clear the selection; of a generation, show the whole answer again. */
  unselect(): void {
    const { attribution, targetEnd } = this.store.state;
    const whole = this.model.wholeOf(attribution);
    this.store.set({
      anchor: -1,
      focus: -1,
      pinned: false,
      hover: -1,
      search: "",
      ...(targetEnd >= 0 && whole.targetEnd > 0 ? whole : {}),
    });
  }

  hover(token: number): void {
    this.store.set({ hover: token });
  }

  /** Move the selection by units in reading order. */
  move(by: number, extend: boolean): void {
    const { state } = this.store;
    const units = this.model.unitsShown(state);
    if (!units.length) return;
    const current = this.model.unitOf(state, state.focus);
    const next = current < 0 ? (by > 0 ? 0 : units.length - 1) : clamp(current + by, 0, units.length - 1);
    this.select(units[next].first, { extend });
  }

  moveTo(end: "first" | "last", extend: boolean): void {
    const units = this.model.unitsShown(this.store.state);
    const unit = end === "first" ? units[0] : units.at(-1);
    if (unit) this.select(unit.first, { extend });
  }

  step(step: number): void {
    const { generation } = this.model;
    if (!generation?.probabilities.length) return;
    this.explain(generation.promptLength + clamp(step, 0, generation.probabilities.length - 1));
  }

  /** Explain the next or previous step; the first or last if none is explained alone. */
  moveStep(by: number, extend = false): void {
    const { model, store } = this;
    const count = model.generation?.probabilities.length ?? 0;
    if (!count) return;
    const isOne = model.followsSteps(model.attribution(store.state)) && !model.isWhole(store.state);
    const step = isOne ? clamp(this.currentStep() + by, 0, count - 1) : by > 0 ? 0 : count - 1;
    this.explain(model.generation!.promptLength + step, extend);
  }

  /** Explain one generated token, or all from the explained ones to it. */
  explain(token: number, extend = false): void {
    const { model, store } = this;
    const attribution = model.attribution(store.state);
    const follows = model.followsSteps(attribution) || model.bySteps < 0;
    const patch: Partial<State> = follows ? {} : { attribution: model.bySteps };
    const { anchor, focus } = store.state;
    const from = extend && model.stepOfToken(anchor) >= 0 && focus >= 0 ? anchor : token;
    if (!follows) store.set({ ...patch, target: 0, targetEnd: 0, anchor: -1, focus: -1 });
    store.set({ anchor: from, focus: token, pinned: true, ...this.targetsFor([from, token]) });
  }

  currentStep(): number {
    const { state } = this.store;
    const step = this.model.stepOfToken(state.focus);
    if (step >= 0 && this.model.tableIndex(state) === this.model.generation?.table) return step;
    return Math.max(this.model.attribution(state)?.targets[state.target]?.step ?? 0, 0);
  }

  showAttribution(index: number): void {
    const attribution = this.model.payload.attributions[index];
    if (!attribution) return;
    const { state } = this.store;
    const isSameTable = attribution.table === this.model.tableIndex(state);
    const step = isSameTable ? this.model.stepOfToken(state.focus) : -1;
    const target = this.model.targetOfStep(attribution, step);
    this.store.set({
      attribution: index,
      ...(target < 0 ? this.model.wholeOf(index) : { target, targetEnd: target }),
      ...(isSameTable ? {} : { anchor: -1, focus: -1, hover: -1, pinned: false }),
    });
  }

  /** Explain why a step's token was generated and not another; false if that was not computed. */
  contrast(step: number, other: number): boolean {
    const target = this.model.contrastOf(step, other);
    if (target < 0) return false;
    this.store.set({ attribution: this.model.payload.contrasts, target, targetEnd: target });
    return true;
  }

  /** Go back from a contrast to its token's attribution; false if no contrast is shown. */
  leaveContrast(): boolean {
    const { model, store } = this;
    if (!model.isContrast(store.state)) return false;
    const { step } = model.attribution(store.state)!.targets[store.state.target];
    const attribution = Math.max(model.bySteps, 0);
    const target = Math.max(model.targetOfStep(model.payload.attributions[attribution], step), 0);
    store.set({ attribution, target, targetEnd: target });
    return true;
  }

  /** Show the map that one of the readings is of; with a token, select it. */
  open(index: number, token = -1): void {
    const reading = this.model.payload.readings[index];
    if (!reading) return;
    const { attribution, first, last } = reading;
    const isSame =
      this.model.payload.attributions[attribution].table === this.model.tableIndex(this.store.state);
    const kept = isSame && token < 0 ? {} : { anchor: token, focus: token, hover: -1, pinned: token >= 0 };
    this.store.set({ attribution, target: first, targetEnd: last, ...kept });
  }

  showTarget(index: number): void {
    const attribution = this.model.attribution(this.store.state);
    if (!attribution) return;
    const target = clamp(index, 0, attribution.targets.length - 1);
    this.store.set({ target, targetEnd: target });
  }

  cycleLevel(): void {
    const levels: Level[] = ["token", "word", "sentence"];
    const { state } = this.store;
    this.store.set({ level: levels[(levels.indexOf(state.level) + 1) % levels.length] });
  }

  moveLayer(by: number): void {
    const { state } = this.store;
    const part = this.model.payload.attention[state.map];
    const count = Math.max(part?.layers.length ?? 1, 1);
    this.store.set({ layer: (state.layer + by + count) % count });
  }

  /** Go to the next head; the mean over heads comes before the first. */
  moveHead(by: number): void {
    const { state } = this.store;
    const count = this.model.payload.attention[state.map]?.heads.length ?? 0;
    if (count < 2) return;
    this.store.set({ head: ((state.head + 1 + by + count + 1) % (count + 1)) - 1 });
  }

  showMap(index: number): void {
    const part = this.model.payload.attention[index];
    if (!part) return;
    this.store.set({
      map: index,
      layer: Math.max(part.layers.length - 1, 0),
      head: part.heads.length > 1 ? -1 : 0,
    });
  }

  /** Select the next unit whose label contains the search text. */
  find(search: string, by: number): number {
    this.store.set({ search });
    const { state } = this.store;
    const matching = matches(this.model, state);
    if (!matching.length) return 0;
    const current = this.model.unitOf(state, state.focus);
    const units = this.model.unitsShown(state);
    const next =
      by > 0
        ? (matching.find((unit) => unit > current) ?? matching[0])
        : (matching.filter((unit) => unit < current).at(-1) ?? matching.at(-1)!);
    this.select(units[by === 0 && matching.includes(current) ? current : next].first);
    return matching.length;
  }

  /** The first and last token of the units from one token to another, in their order. */
  private bounds(anchor: number, focus: number): [number, number] {
    const { model, store } = this;
    const units = model.unitsShown(store.state);
    const [from, to] = [anchor, focus].map((token) => units[model.unitOf(store.state, token)]);
    if (!from || !to) return [anchor, focus];
    return from.index <= to.index ? [from.first, to.last] : [from.last, to.first];
  }

  private targetsFor([anchor, focus]: [number, number]): Partial<State> {
    const { state } = this.store;
    const attribution = this.model.attribution(state);
    if (!this.model.followsSteps(attribution) || attribution?.table !== this.model.generation?.table)
      return {};
    const steps = [this.model.stepOfToken(anchor), this.model.stepOfToken(focus)];
    const targets = steps.map((step) => this.model.targetOfStep(attribution, step));
    if (targets[1] < 0) return {};
    if (this.model.isContrast(state)) return { target: targets[1], targetEnd: targets[1] };
    const first = targets[0] < 0 ? targets[1] : targets[0];
    return { target: Math.min(first, targets[1]), targetEnd: Math.max(first, targets[1]) };
  }
}

/** The units whose label contains the search text. */
export function matches(model: Model, state: Readonly<State>): number[] {
  const query = state.search.trim().toLocaleLowerCase();
  if (!query) return [];
  return model
    .unitsShown(state)
    .filter((unit) => unit.label.toLocaleLowerCase().includes(query))
    .map((unit) => unit.index);
}
