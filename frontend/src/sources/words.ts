/** Effects in words and as colors, as `sourced_answer.py` writes them. */

import type { AnswerMapName, AnswerMapPayload } from "../data/payload.generated";
import type { Colors } from "../ui/colors";
import { h } from "../ui/dom";
import { formatCount, formatNumber } from "../ui/format";
import { paintPiece } from "../views/saliency/text";

/** An effect as a number; its third decimal says nothing. */
export function nats(effect: number): string {
  return formatNumber(Math.round(effect * 100) / 100);
}

/** The strength of an effect's color, from -1 to 1. */
export function strengthOf(effect: number, scale: number): number {
  return Math.sign(effect) * (1 - Math.exp(-Math.abs(effect) / scale));
}

const LEAST = 0.1; // strength from which a text has a color

/** Color a text or a number by its effect; an estimate is pale and hatched. */
export function paint(
  element: HTMLElement,
  colors: Colors,
  effect: number,
  { scale, reach }: AnswerMapPayload,
  isEstimate = false,
): void {
  paintPiece(element, colors, reach * strengthOf(effect, scale), true, isEstimate, reach * LEAST);
}

/** A sentence in which names of sources keep their own reading direction. */
export function named(parts: readonly AnswerMapName[], style?: string): (string | HTMLElement)[] {
  return parts.map(({ text, source }) => (source < 0 ? text : h("bdi", { class: style }, text)));
}

/** What an effect means for the likelihood of the words without the source. */
export function likelihood(effect: number, isCompared = false): string {
  const times = Math.exp(Math.min(Math.abs(effect), 100));
  if (times < 1.05) return "as likely without it";
  let words = "more than a million times";
  if (times < 9.95) words = `${times.toFixed(1)} times`;
  else if (times < 1000) words = `${Math.round(times)} times`;
  else if (times < 1e6) words = `${formatCount(Number(times.toPrecision(2)))} times`;
  const compared = isCompared ? " than the other text" : "";
  return `${words} ${effect > 0 ? "less likely" : "likelier"}${compared} without it`;
}
