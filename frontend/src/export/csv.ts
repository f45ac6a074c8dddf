/** Tables as CSV; cells that a spreadsheet would run as formulas are escaped. */

export type Cell = string | number | null;

export function csv(names: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return [names, ...rows]
    .map((row) => row.map(written).join(","))
    .join("\r\n")
    .concat("\r\n");
}

function written(cell: Cell): string {
  if (cell === null) return "";
  if (typeof cell === "number") return String(cell);
  const safe = /^[=+\-@\t\r]/.test(cell) ? `\t${cell}` : cell;
  return /[",\r\n\t]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
}
