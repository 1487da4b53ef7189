/**
 * How fast this engine is on this machine, and against PyTorch.
 *
 *   npm run bench [-- SECTION …] [--against pytorch] [--runs N] [--threads N] [--device NAME] [--model TEXT] [--only TEXT …]
 *                [--json]
 *
 * `--model tiny`, `embedded` or `135M` chooses among the models of `training`; the tiny one runs only when it is named.
 *
 * Sections: `training` (steps a second and peak memory of the engine's settings), `floor` (how far a step is from what
 * the machine's matrix products allow), `optimizer` (AdamW in typed arrays and on the device), `decoding` (generation), `blobs` (transfers over loopback),
 * `aggregation` (a large round side by side with NumPy, and its verification). All of
 * them if none is named. Contenders take turns; each has runs beforehand that do not count. Shown are medians, with least and most.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { integerValue } from '../../node/commands/values.ts';
import { DEVICES } from '../../node/engine/device.ts';
import { describeMachine } from './machine.ts';
import { showSection, type BenchSettings, type Section, type SectionResult } from './section.ts';
import { blobsSection } from './sections/blobs.ts';
import { aggregationSection } from './sections/aggregation.ts';
import { decodingSection } from './sections/decoding.ts';
import { floorSection } from './sections/floor.ts';
import { optimizerSection } from './sections/optimizer.ts';
import { trainingSection } from './sections/training.ts';

const SECTIONS: Readonly<Record<string, Section>> = {
  training: trainingSection,
  floor: floorSection,
  optimizer: optimizerSection,
  decoding: decodingSection,
  blobs: blobsSection,
  aggregation: aggregationSection,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '5' },
    threads: { type: 'string', default: String(availableParallelism()) },
    device: { type: 'string', default: 'cpu' },
    against: { type: 'string' },
    only: { type: 'string', multiple: true },
    model: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const count = integerValue({ min: 1 });
const say = (text: string) => process.stderr.write(`${text}\n`);
const settings: BenchSettings = {
  runs: count(values.runs),
  threads: count(values.threads),
  device: oneOf('--device', DEVICES, values.device),
  against: values.against === undefined ? undefined : oneOf('--against', ['pytorch'] as const, values.against),
  only: values.only,
  model: values.model,
  say,
};
const named = positionals.map((name) => oneOf('a section', Object.keys(SECTIONS), name));

const machine = describeMachine();
say(`${machine.processor}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}`);
say(`Node ${machine.node}, ONNX Runtime ${machine.onnxruntime}, load ${machine.load} at the start`);
const results: SectionResult[] = [];
for (const name of named.length > 0 ? named : Object.keys(SECTIONS)) {
  const found = await SECTIONS[name]!(settings);
  results.push(...found);
  if (!values.json) process.stdout.write(found.map(showSection).join(''));
}
if (values.json) process.stdout.write(`${JSON.stringify({ machine, settings, results })}\n`);

function oneOf<Name extends string>(what: string, names: readonly Name[], given: string): Name {
  const found = names.find((name) => name === given);
  if (found !== undefined) return found;
  say(`error USAGE: ${what} is one of ${names.join(', ')}, not ${given}`);
  return process.exit(2);
}
