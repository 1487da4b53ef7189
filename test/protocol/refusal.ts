import assert from 'node:assert/strict';
import { isPrefmeshError } from '../../protocol/errors.ts';
import type { ErrorCode } from '../../protocol/errors.ts';

/** Asserts that `run` is refused with this code and no other. */
export function assertRefused(run: () => unknown, code: ErrorCode): void {
  try {
    run();
  } catch (error) {
    if (!isPrefmeshError(error)) throw error;
    assert.equal(error.code, code, error.message);
    return;
  }
  assert.fail(`not refused; expected ${code}`);
}
