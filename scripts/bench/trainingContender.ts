/**
 * The process of a contender that trains with this engine: see `contenderProcess.ts` for what it is asked.
 *
 *   trainingContender.ts WORKLOAD.json SETTINGS-AS-JSON
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Device } from '../../node/engine/device.ts';
import { openCheckpoint } from '../../node/model/checkpoint.ts';
import { AdamW, clipGradient, globalNorm } from '../../node/training/optimizer.ts';
import { Policy, type PolicyOptions } from '../../node/training/policy.ts';
import type { ContenderLine } from './contenderProcess.ts';
import type { Workload } from './workload.ts';

/** Settings of the policy that a contender differs in. */
export type ContenderSettings = Pick<
  PolicyOptions,
  'activationCheckpointing' | 'rows' | 'tokenBudget' | 'headChunk'
> & {
  readonly device: Device;
};

const workload = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as Workload;
const settings = JSON.parse(process.argv[3]!) as ContenderSettings;
const { pairs, rank, scale, targets, threads, beta, learningRate, maxGradNorm } = workload;
const bytes = readFileSync(workload.adapter);
const adapter = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));

const say = (line: ContenderLine) => process.stdout.write(`${JSON.stringify(line)}\n`);
const seconds = (since: number) => (performance.now() - since) / 1000;

const started = performance.now();
const checkpoint = await openCheckpoint(workload.checkpoint);
await using policy = await Policy.open({ ...settings, checkpoint, layout: { rank, targets }, scale, threads });
await policy.prepare(pairs, 'sigmoid');
const startSeconds = seconds(started);
const reference = await policy.logProbs(pairs, null);
const optimizer = new AdamW(adapter.length);
say({ ready: true, startSeconds });

for await (const line of createInterface(process.stdin)) {
  if (line === 'end') break;
  const before = performance.now();
  const { loss, gradient } = await policy.lossAndGradient(pairs, adapter, reference, { loss: 'sigmoid', beta });
  clipGradient(gradient, globalNorm(gradient), maxGradNorm);
  optimizer.update(adapter, gradient, learningRate);
  say({ seconds: seconds(before), loss });
}
say({ peakMiB: process.resourceUsage().maxRSS / 1024 });
