/**
 * Parsers for option values: each returns the function commander calls with the text after a flag, and refuses what
 * does not fit with a sentence that says what would.
 */
import { InvalidArgumentError } from 'commander';

export interface NumberBounds {
  readonly min?: number;
  readonly max?: number;
  /** Whether `min` itself is refused. */
  readonly aboveMin?: boolean;
}

/** Parses a whole number within bounds. */
export function integerValue(bounds: NumberBounds = {}): (text: string) => number {
  return (text) => {
    if (!/^[+-]?\d+$/.test(text)) throw new InvalidArgumentError(`It must be a whole number${describe(bounds)}.`);
    return within(Number(text), bounds, 'a whole number');
  };
}

/** Parses a decimal number within bounds, scientific notation allowed. */
export function numberValue(bounds: NumberBounds = {}): (text: string) => number {
  return (text) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (!Number.isFinite(value)) throw new InvalidArgumentError(`It must be a number${describe(bounds)}.`);
    return within(value, bounds, 'a number');
  };
}

/** Parses `true` or `false`. */
export function booleanValue(): (text: string) => boolean {
  return (text) => {
    if (text !== 'true' && text !== 'false') throw new InvalidArgumentError('It must be true or false.');
    return text === 'true';
  };
}

/** Parses a comma-separated list of names, each one of `allowed` when that is given. No name twice. */
export function listValue<Name extends string = string>(allowed?: readonly Name[]): (text: string) => Name[] {
  return (text) => {
    const names = text.split(',').map((name) => name.trim());
    for (const [index, name] of names.entries()) {
      if (name === '' || (allowed !== undefined && !allowed.includes(name as Name))) {
        const choices = allowed === undefined ? 'names separated by commas' : `any of ${allowed.join(', ')}`;
        throw new InvalidArgumentError(`It must be ${choices}.`);
      }
      if (names.indexOf(name) !== index) throw new InvalidArgumentError(`${name} is named twice.`);
    }
    return names as Name[];
  };
}

/** Gathers the values of a flag that may be given several times. */
export function repeatedValue(): (text: string, previous: readonly string[] | undefined) => string[] {
  return (text, previous) => [...(previous ?? []), text];
}

function within(value: number, bounds: NumberBounds, kind: string): number {
  const { min = -Number.MAX_VALUE, max = Number.MAX_VALUE, aboveMin = false } = bounds;
  if (
    value < min ||
    value > max ||
    (aboveMin && value === min) ||
    (kind === 'a whole number' && !Number.isSafeInteger(value))
  ) {
    throw new InvalidArgumentError(`It must be ${kind}${describe(bounds)}.`);
  }
  return value;
}

function describe({ min, max, aboveMin = false }: NumberBounds): string {
  const lower = min === undefined ? '' : aboveMin ? ` above ${min}` : ` of at least ${min}`;
  const upper = max === undefined ? '' : `${lower === '' ? '' : ' and'} at most ${max}`;
  return lower + upper;
}
