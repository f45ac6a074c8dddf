/** Formats numbers as the figures and the terminal do. */

export function formatNumber(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  let words: string;
  if (size >= 1e4 || size < 1e-4) {
    words = value.toExponential(2).replace(/\.?0+e/, "e");
  } else {
    words = value.toPrecision(3);
    if (words.includes("e")) words = String(Number(words));
    if (words.includes(".")) words = words.replace(/\.?0+$/, "");
  }
  return words.replace("-", "−");
}

/** A share in percent; values that would round to 0 or 100 % are marked as such. */
export function formatPercent(share: number): string {
  if (share !== 0 && Math.abs(share) < 0.001) return share > 0 ? "< 0.1 %" : "> −0.1 %";
  if (share > 0.999 && share < 1) return "> 99.9 %";
  return `${(100 * share).toFixed(1)} %`.replace("-", "−").replace("100.0", "100");
}

/** An integer with thousands separators. */
export function formatCount(count: number): string {
  return count.toLocaleString("en");
}

export function counted(count: number, singular: string, plural = `${singular}s`): string {
  return `${formatCount(count)} ${count === 1 ? singular : plural}`;
}
