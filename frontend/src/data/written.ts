/** Generated tokens one by one, with what a text hides: spaces, line breaks, bytes. */

import type { Table } from "./payload.generated";

export interface WrittenToken {
  readonly token: number;
  /** Blanks in the text before it, usually a space; they belong to it or to no token. */
  readonly before: string;
  readonly label: string;
}

/** The tokens from a position on. */
export function writtenTokens(table: Table, from: number): WrittenToken[] {
  const groups = table.groups.token;
  return table.labels.slice(from).map((label, index) => {
    const token = from + index;
    const isPart = groups[token] === groups[token - 1] || groups[token] === groups[token + 1];
    return { token, before: gap(table, token), label: isPart ? bytesOf(table.pieces[token]) : label };
  });
}

function gap({ segments, offsets, texts }: Table, token: number): string {
  const segment = segments[token];
  if (segment < 0) return "";
  const characters = Array.from(texts[segment]);
  const own = characters.slice(offsets[2 * token], offsets[2 * token + 1]).join("");
  let end = 0;
  for (let before = token - 1; before >= 0 && segments[before] === segment; before--)
    end = Math.max(end, offsets[2 * before + 1]);
  const between = characters.slice(end, offsets[2 * token]).join("");
  const leading = own.trim() ? (/^\s+/.exec(own)?.[0] ?? "") : "";
  return (between.trim() ? "" : between) + leading;
}

/** Characters that stand for the bytes which byte-level tokenizers do not write as themselves, from 0 on. */
const STANDS = 256;
const PLAIN = (byte: number) =>
  (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);

/** A piece of a character as its bytes, `<0xE2><0x80>`; a piece of another form as it is. */
export function bytesOf(piece: string): string {
  if (/^(<0x[0-9A-Fa-f]{2}>)+$/.test(piece)) return piece;
  const hidden = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => !PLAIN(byte));
  const bytes = Array.from(piece).map((character) => {
    const code = character.codePointAt(0)!;
    return code < STANDS ? (PLAIN(code) ? code : -1) : (hidden[code - STANDS] ?? -1);
  });
  if (bytes.some((byte) => byte < 0)) return piece;
  return bytes.map((byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`).join("");
}
