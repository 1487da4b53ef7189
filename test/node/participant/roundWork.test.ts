import assert from 'node:assert/strict';
import fc from 'fast-check';
import { withinNorm } from '../../../node/participant/roundWork.ts';
import { norm } from '../../../protocol/update.ts';
import { exampleUpdate } from '../../protocol/exampleFederation.ts';

describe('an update that is about to be sent', () => {
  it('is left alone within the norm bound', () => {
    const update = exampleUpdate(0.5);
    assert.equal(withinNorm(update, norm(update)), update);
  });

  it('is shortened to the bound in its own direction when it is longer', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.double({ min: 0.01, max: 0.99, noNaN: true }),
        (size, share) => {
          const update = exampleUpdate(size / 10);
          const bound = share * norm(update);
          const shortened = withinNorm(update, bound);
          assert.ok(norm(shortened) <= bound);
          const step = 2 ** -update.bits;
          assert.ok(norm(shortened) >= bound - step * Math.sqrt(update.values.length));
        },
      ),
    );
  });
});
