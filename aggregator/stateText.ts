/**
 * The text in which a state of the round machine is stored.
 *
 * A federation of a thousand accepts a thousand updates a round, and stores the whole state with each: 200 KB, of which
 * one update is new. So the text of each part is kept as long as the part is; states are never changed, only replaced.
 */
import type { FederationState } from '../protocol/roundState.ts';

const texts = new WeakMap<object, string>();

/** The same as `JSON.stringify(state)`. */
export function stateText(state: FederationState): string {
  const fields = Object.entries(state)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${JSON.stringify(name)}:${textOf(value as unknown)}`);
  return `{${fields.join(',')}}`;
}

function textOf(part: unknown): string {
  if (typeof part !== 'object' || part === null) return JSON.stringify(part);
  let text = texts.get(part);
  if (text === undefined) {
    text = isListOfObjects(part) ? `[${part.map(textOf).join(',')}]` : JSON.stringify(part);
    texts.set(part, text);
  }
  return text;
}

function isListOfObjects(part: object): part is readonly object[] {
  return Array.isArray(part) && part.every((item) => typeof item === 'object' && item !== null);
}
