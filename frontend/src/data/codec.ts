/** Decodes the payload's compressed bytes. */

import type { Mask, Weights } from "./payload.generated";

export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index);
  return bytes;
}

/** Inflate base64-encoded raw deflate data. */
export async function inflated(text: string): Promise<Uint8Array> {
  if (!text) return new Uint8Array(0);
  const stream = new Blob([fromBase64(text)]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Return the weight that each of 256 bytes stands for. */
export function weightsOfBytes(weights: Pick<Weights, "levels" | "scale" | "signed">): Float32Array {
  const steps = weights.signed ? Math.floor(weights.levels / 2) : weights.levels;
  return Float32Array.from({ length: 256 }, (_, byte) => {
    const level = weights.signed ? byte - 128 : byte;
    return Math.sign(level) * weights.scale * (level / steps) ** 2;
  });
}

/** Whether a row can attend to a key. */
export type MaskTest = (row: number, key: number) => boolean;

export async function maskTest(mask: Mask, keys: number): Promise<MaskTest> {
  if (mask.kind === "full") return () => true;
  if (mask.kind === "causal") return (row, key) => key <= row + mask.offset;
  const bits = await inflated(mask.data);
  return (row, key) => {
    const bit = row * keys + key;
    return ((bits[bit >> 3] >> (7 - (bit & 7))) & 1) === 1;
  };
}
