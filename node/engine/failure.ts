/**
 * What an executor's failure means to the user.
 */

import { isPrefmeshError, PrefmeshError } from '../../protocol/errors.ts';
import type { Device } from './device.ts';

/** The error to throw for what a runtime threw: `ENGINE_FAILED`, or what it already is. */
export function failureOf(device: Device, thrown: unknown): PrefmeshError {
  if (isPrefmeshError(thrown)) return thrown;
  const cause = thrown instanceof Error ? thrown : new Error(String(thrown));
  return new PrefmeshError('ENGINE_FAILED', { device, problem: plainProblem(cause.message) }, { cause });
}

/** The runtime's words without its source files and assertions. */
function plainProblem(message: string): string {
  const line = message.split('\n', 1)[0]!;
  return line.replace(/^.* was false\. /, '');
}
