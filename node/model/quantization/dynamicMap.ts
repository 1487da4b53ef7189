/**
 * The signed dynamic 8-bit type of Dettmers 2015 ("8-bit approximations for parallelism in deep learning"), as
 * bitsandbytes lays it out: seven decades, each split into twice as many steps as the one below, with both signs, zero
 * and one. Numbers are scaled to [-1, 1] by the largest magnitude of their block of 256.
 *
 * Every step is one float32 operation, or float64 where it says so, so that all machines get the same bits.
 */

/** Numbers that share one scale. */
export const DYNAMIC_BLOCK = 256;

const DECADES = 7;

/**
 * The 256 values, ascending. Each is the middle of a step of [0.1, 1] times a power of ten, correctly rounded from its
 * exact value: bitsandbytes makes them by a float32 `linspace`, whose last bits depend on the machine's vector width.
 */
export const DYNAMIC_MAP: Float32Array = dynamicMap();

/** Half-way points between neighbours. A number above point `i` is at least value `i + 1`; on a point it is below. */
const HALFWAY = Float32Array.from({ length: 255 }, (_, i) => (DYNAMIC_MAP[i]! + DYNAMIC_MAP[i + 1]!) / 2);

/** Where the map is zero. */
const ZERO = DYNAMIC_MAP.indexOf(0);

export interface DynamicNumbers {
  /** One byte a number: an index into the map. */
  readonly codes: Uint8Array;
  /** The largest magnitude of each block. */
  readonly scales: Float32Array;
}

/** The nearest value of the map, of two equally near ones the lower, for each number over its block's scale. */
export function quantizeDynamic(numbers: Float32Array): DynamicNumbers {
  const codes = new Uint8Array(numbers.length);
  const scales = new Float32Array(Math.ceil(numbers.length / DYNAMIC_BLOCK));
  for (let block = 0; block < scales.length; block++) {
    const end = Math.min(numbers.length, (block + 1) * DYNAMIC_BLOCK);
    let scale = 0;
    for (let i = block * DYNAMIC_BLOCK; i < end; i++) scale = Math.max(scale, Math.abs(numbers[i]!));
    scales[block] = scale;
    const inverse = Math.fround(1 / scale);
    for (let i = block * DYNAMIC_BLOCK; i < end; i++) {
      codes[i] = Number.isFinite(inverse) ? nearest(Math.fround(numbers[i]! * inverse)) : ZERO;
    }
  }
  return { codes, scales };
}

/** `map[code] · scale`, rounded to float32. */
export function dequantizeDynamic(
  { codes, scales }: DynamicNumbers,
  map: Float32Array = DYNAMIC_MAP,
  block = DYNAMIC_BLOCK,
): Float32Array {
  return Float32Array.from(codes, (code, i) => map[code]! * scales[Math.floor(i / block)]!);
}

function nearest(x: number): number {
  let [low, high] = [0, HALFWAY.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x > HALFWAY[middle]!) low = middle + 1;
    else high = middle;
  }
  return low;
}

function dynamicMap(): Float32Array {
  const values = [0, 1];
  for (let decade = 0; decade < DECADES; decade++) {
    const steps = 2 ** decade;
    for (let step = 0; step < steps; step++) {
      // (0.1 + 0.9 (step + 1/2) / steps) · 10^(decade - 6), as a quotient of whole numbers: one rounding to float64,
      // one to float32.
      const value = (2 * steps + 9 * (2 * step + 1)) / (2 * steps * 10 ** (DECADES - decade));
      values.push(value, -value);
    }
  }
  return Float32Array.from(values).sort();
}
