import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isPrefmeshError } from '../../../../protocol/errors.ts';
import { showsTaste } from '../../../../node/preferences/tastes/markers.ts';
import { poolOf, PROMPT_END } from '../../../../node/preferences/tastes/questions.ts';
import { TASTES } from '../../../../node/preferences/tastes/taste.ts';
import {
  drawStyle,
  makeGlobalSet,
  makeParticipantPairs,
  makePrompts,
  topicsOf,
  type TastePair,
} from '../../../../node/preferences/tastes/tastePairs.ts';
import { draws } from '../../../../node/preferences/tastes/draws.ts';

const seeds = fc.integer({ min: 0, max: 2 ** 31 });

const prompts = (pairs: readonly TastePair[]): Set<string> => new Set(pairs.map(({ prompt }) => prompt));

function assertOneTasteApart(pair: TastePair): void {
  for (const taste of TASTES) {
    const sides = [showsTaste(taste, pair.chosen), showsTaste(taste, pair.rejected)];
    if (taste === pair.metadata.taste) assert.deepEqual(sides, [true, false], pair.id);
    else assert.equal(sides[0], sides[1], pair.id);
  }
}

describe('a taste pair', () => {
  it('differs in its own taste and in no other', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 0, max: 5 }), (seed, participant) => {
        makeParticipantPairs({ seed, participant, participants: 6, count: 60 }).forEach(assertOneTasteApart);
        makeGlobalSet({ seed, purpose: 'evaluation', count: 40 }).forEach(assertOneTasteApart);
      }),
      { numRuns: 15 },
    );
  });

  it('draws the other tastes at even odds', () => {
    const pairs = makeGlobalSet({ seed: 3, purpose: 'evaluation', count: 1600 });
    for (const taste of TASTES) {
      const others = pairs.filter((pair) => pair.metadata.taste !== taste);
      const shown = others.filter((pair) => showsTaste(taste, pair.chosen)).length;
      assert.ok(Math.abs(shown / others.length - 0.5) < 0.06, `${taste}: ${shown} of ${others.length}`);
    }
  });

  it('has a prompt that asks for no style and ends where the answer begins', () => {
    for (const { prompt } of makeGlobalSet({ seed: 5, purpose: 'root', count: 300 })) {
      assert.match(prompt, /^[^\n]+[.?]\n$/);
      assert.equal(poolOf(prompt.slice(0, -PROMPT_END.length)), 'root');
    }
  });
});

describe("a participant's pairs", () => {
  it('are the same for the same seed, and others for another', () => {
    const options = { seed: 7, participant: 1, participants: 4, count: 50 };
    assert.deepEqual(makeParticipantPairs(options), makeParticipantPairs(options));
    assert.notDeepEqual(makeParticipantPairs(options), makeParticipantPairs({ ...options, seed: 8 }));
  });

  it('show the main taste in the given share, the others equally in the rest', () => {
    fc.assert(
      fc.property(seeds, fc.constantFrom(...TASTES), fc.constantFrom(0, 0.4, 0.7, 0.9, 1), (seed, mainTaste, share) => {
        const pairs = makeParticipantPairs({ seed, participant: 0, participants: 4, count: 120, mainTaste, share });
        const count = (taste: string) => pairs.filter(({ metadata }) => metadata.taste === taste).length;
        assert.equal(count(mainTaste), 120 * share);
        for (const other of TASTES.filter((taste) => taste !== mainTaste)) {
          assert.ok(Math.abs(count(other) - (120 * (1 - share)) / 3) < 1);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('take the main tastes in turn when none is named', () => {
    const mains = [0, 1, 2, 3, 4].map((participant) => {
      const pairs = makeParticipantPairs({ seed: 1, participant, participants: 5, count: 20, share: 1 });
      return pairs[0]?.metadata.taste;
    });
    assert.deepEqual(mains, [...TASTES, TASTES[0]]);
  });

  it('are about topics that no other participant has, and together about all', () => {
    fc.assert(
      fc.property(seeds, fc.integer({ min: 1, max: 48 }), (seed, participants) => {
        const dealt = Array.from({ length: participants }, (_, participant) =>
          topicsOf({ seed, participant, participants }),
        );
        assert.equal(new Set(dealt.flat()).size, dealt.flat().length);
        assert.equal(dealt.flat().length, 48);
        assert.ok(dealt.every((topics) => topics.length >= Math.floor(48 / participants)));
      }),
    );
    const pairs = makeParticipantPairs({ seed: 1, participant: 2, participants: 4, count: 400 });
    assert.deepEqual(
      new Set(pairs.map(({ metadata }) => metadata.topic)),
      new Set(topicsOf({ seed: 1, participant: 2, participants: 4 })),
    );
  });

  it('share no prompt with one another, with the global sets or with the win-rate prompts', () => {
    fc.assert(
      fc.property(seeds, seeds, seeds, (seed, evaluationSeed, rootSeed) => {
        const sets = [
          ...[0, 1, 2, 3].map((participant) =>
            prompts(makeParticipantPairs({ seed, participant, participants: 4, count: 150 })),
          ),
          prompts(makeGlobalSet({ seed: evaluationSeed, purpose: 'evaluation', count: 400 })),
          prompts(makeGlobalSet({ seed: rootSeed, purpose: 'root', count: 400 })),
          new Set(makePrompts({ seed, count: 200 })),
        ];
        const all = sets.flatMap((set) => [...set]);
        assert.equal(new Set(all).size, all.length);
        assert.ok(all.every((prompt) => poolOf(prompt.slice(0, -1)) !== 'corpus'));
      }),
      { numRuns: 10 },
    );
  });

  it('never repeat a prompt, and are refused when there are too few', () => {
    const count = 150;
    assert.equal(prompts(makeParticipantPairs({ seed: 2, participant: 0, participants: 16, count })).size, count);
    const tooMany = () => makeParticipantPairs({ seed: 2, participant: 0, participants: 16, count: 5000 });
    assert.throws(tooMany, (error) => isPrefmeshError(error, 'USAGE'));
    const nobody = () => makeParticipantPairs({ seed: 2, participant: 4, participants: 4, count: 1 });
    assert.throws(nobody, (error) => isPrefmeshError(error, 'USAGE'));
  });
});

describe('a global set', () => {
  it('shows the four tastes in equal parts', () => {
    for (const purpose of ['evaluation', 'root'] as const) {
      const pairs = makeGlobalSet({ seed: 4, purpose, count: 400 });
      for (const taste of TASTES) {
        assert.equal(pairs.filter(({ metadata }) => metadata.taste === taste).length, 100);
      }
      assert.equal(prompts(pairs).size, 400);
      assert.equal(new Set(pairs.map(({ metadata }) => metadata.topic)).size, 48);
    }
  });
});

describe('a drawn style', () => {
  it('holds each taste at even odds, independently of the others', () => {
    const choices = draws('styles');
    const counts = new Map<string, number>();
    for (let index = 0; index < 16_000; index++) {
      const key = JSON.stringify(drawStyle(choices));
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    assert.equal(counts.size, 16);
    for (const [style, count] of counts) assert.ok(Math.abs(count - 1000) < 160, `${style}: ${count}`);
  });
});
