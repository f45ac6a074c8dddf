/** Python code that reproduces what is shown: pieces of code, with values between them. */

/** The code with each value in its place: only there, and never in a text that happens to hold its name. */
export function pythonOf(
  code: readonly string[],
  values: ReadonlyMap<string, string | number> = new Map(),
): string {
  return code.map((piece, index) => (index % 2 === 1 ? String(values.get(piece)) : piece)).join("");
}
