/**
 * What a chat template finds besides its messages: the names that Hugging Face's renderer gives to Jinja.
 *
 * The clock stands still. Some templates write the day into a default system prompt; by a real clock the same pair
 * would be other tokens tomorrow, or on a machine of another language, and cached references, resumed runs and other
 * participants would each see a text of their own. The day is the one that Llama 3's templates fall back to.
 */

/** 26 July 2024, midnight, by the codes of C's `strftime`, in English. */
const STANDING_CLOCK: Readonly<Record<string, string>> = {
  a: 'Fri',
  A: 'Friday',
  b: 'Jul',
  B: 'July',
  d: '26',
  H: '00',
  I: '12',
  j: '208',
  m: '07',
  M: '00',
  p: 'AM',
  S: '00',
  y: '24',
  Y: '2024',
  '%': '%',
};

/** Formats the standing clock; a code that it does not know stays as it is. */
function standingClock(format: string): string {
  return format.replaceAll(/%([A-Za-z%])/g, (code, letter: string) => STANDING_CLOCK[letter] ?? code);
}

export const TEMPLATE_GLOBALS: Readonly<Record<string, unknown>> = {
  ...{ true: true, True: true, false: false, False: false, none: null, None: null },
  range,
  strftime_now: standingClock,
  raise_exception: (problem: string) => {
    throw new Error(problem);
  },
};

/** Python's `range`. */
function range(...bounds: readonly number[]): number[] {
  const [start, stop, step] = bounds.length === 1 ? [0, bounds[0]!, 1] : [bounds[0]!, bounds[1]!, bounds[2] ?? 1];
  if (step === 0) throw new Error('range() with a step of zero');
  return Array.from({ length: Math.max(0, Math.ceil((stop - start) / step)) }, (_, i) => start + i * step);
}
