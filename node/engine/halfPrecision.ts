/** Half-precision numbers as float32, exactly: every value of both formats has one. */

/** The float32 bits of as many F16 or BF16 numbers. Plain loops: `from` with a function takes fifty times as long. */
export function widen(dtype: 'F16' | 'BF16', halves: Uint16Array): Uint32Array<ArrayBuffer> {
  const wide = new Uint32Array(halves.length);
  if (dtype === 'BF16') {
    // bfloat16 is the upper half of a float32.
    for (let i = 0; i < halves.length; i++) wide[i] = halves[i]! << 16;
  } else {
    const table = (float16Table ??= everyFloat16());
    for (let i = 0; i < halves.length; i++) wide[i] = table[halves[i]!]!;
  }
  return wide;
}

/** The float32 bits of every float16 by its bits. Looking up keeps a NaN's payload, and is quicker than converting. */
let float16Table: Uint32Array | undefined;

function everyFloat16(): Uint32Array {
  const bits = Uint16Array.from({ length: 2 ** 16 }, (_, i) => i);
  return new Uint32Array(new Float32Array(new Float16Array(bits.buffer)).buffer);
}
