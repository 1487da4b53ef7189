/**
 * `npm run pairs`: writes the made-up pairs of the demo as files, to try the commands on.
 *
 *   npm run pairs -- --out try [--participants 4] [--count 96] [--seed 0]
 *
 * DIR/participant-0.jsonl …   each participant's pairs, mostly of one taste and about its own topics
 * DIR/evaluation.jsonl        all tastes, with prompts that nobody trains on
 * DIR/root.jsonl              the same for the gate, with other prompts
 * DIR/prompts.jsonl           prompts for the win rate
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeGlobalSet, makeParticipantPairs, makePrompts } from '../node/preferences/tastes/tastePairs.ts';

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    participants: { type: 'string', default: '4' },
    count: { type: 'string', default: '96' },
    seed: { type: 'string', default: '0' },
  },
});
if (values.out === undefined) {
  console.error('error USAGE: --out is missing\nfix: name the folder to write to, npm run pairs -- --out try');
  process.exit(2);
}
const folder = values.out;
const [participants, count, seed] = [values.participants, values.count, values.seed].map(Number) as [
  number,
  number,
  number,
];

mkdirSync(folder, { recursive: true });
for (let participant = 0; participant < participants; participant++) {
  write(`participant-${participant}.jsonl`, makeParticipantPairs({ seed, participant, participants, count }));
}
write('evaluation.jsonl', makeGlobalSet({ seed, purpose: 'evaluation', count: 200 }));
write('root.jsonl', makeGlobalSet({ seed, purpose: 'root', count: 100 }));
const prompts = makePrompts({ seed, count: 64 });
write(
  'prompts.jsonl',
  prompts.map((prompt) => ({ prompt })),
);

function write(name: string, rows: readonly object[]): void {
  const file = join(folder, name);
  writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  console.log(`${file}: ${rows.length} lines`);
}
