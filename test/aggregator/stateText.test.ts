import assert from 'node:assert/strict';
import { stateText } from '../../aggregator/stateText.ts';
import { step } from '../../protocol/round.ts';
import type { FederationState } from '../../protocol/roundState.ts';
import { initialState } from '../../protocol/roundState.ts';
import { identityOf } from '../../aggregator/simulation/cast.ts';
import { sha256 } from '../../protocol/names.ts';
import { smallFederation } from './simulation/smallFederation.ts';

const federation = smallFederation(5);
const participant = (number: number) => identityOf('participant', number).id;
const named = (name: string) => sha256(Buffer.from(name));

/** A federation in the middle of its first round. */
function* states(): Generator<FederationState> {
  let state = initialState(federation.content, 1);
  yield state;
  for (let i = 0; i < 5; i++) {
    state = step(state, { type: 'joined', at: 2, participant: participant(i), request: named(`join ${i}`) }).state;
    yield state;
  }
  for (let i = 0; i < 4; i++) {
    const { parent } = state;
    const offer = {
      sender: participant(i),
      envelope: named(`update ${i}`),
      blob: named(`blob ${i}`),
      bytes: 10,
      pairsBucket: 128,
      round: state.round,
      factor: 'B',
      parent,
    } as const;
    const type = i === 2 ? 'update-refused' : 'update-accepted';
    state = step(state, { type, at: 3, offer, code: 'NORM_EXCEEDED' }).state;
    yield state;
  }
}

describe('the text of a stored state', () => {
  it('is its JSON, whatever was stored before', () => {
    const phases = new Set<string>();
    for (const state of states()) {
      phases.add(state.phase);
      assert.equal(stateText(state), JSON.stringify(state));
      assert.equal(stateText(state), JSON.stringify(state), 'and again');
    }
    assert.deepEqual([...phases], ['open', 'training', 'collecting']);
  });
});
