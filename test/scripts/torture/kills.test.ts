import assert from 'node:assert/strict';
import { drawMoment } from '../../../scripts/torture/moments.ts';
import { killAtRandom } from '../../../scripts/torture/kills.ts';
import { killRunning } from '../../aggregator/program.ts';

const KILLS = 50;

describe('a federation whose processes are killed at random', function () {
  this.timeout(900_000);
  afterEach(killRunning);

  it(`loses nothing acknowledged in ${KILLS} kills, and closes the same rounds with the same adapters`, async () => {
    const seed = Number(process.env.PREFMESH_SEED ?? Date.now() % 1_000_000);
    const report = await killAtRandom({ kills: KILLS, seed });
    assert.equal(report.kills, KILLS);
    assert.ok(report.recoveries.length > 0, `seed ${seed}: no aggregator was ever killed`);
  });

  it('draws the same moments from the same seed', () => {
    const draw = () => Array.from({ length: 40 }, (_, life) => drawMoment(7, 'ada', life));
    assert.deepEqual(draw(), draw());
    assert.deepEqual(new Set(draw().map(({ kind }) => kind)), new Set(['change', 'time']));
  });
});
