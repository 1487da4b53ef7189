/**
 * The demo's final table: the base model, each participant alone, and the federation, all assessed alike.
 *
 * The participants' lone trainings are independent of each other, so one runs per core, each on one thread.
 */
import type { Checkpoint } from '../../node/model/checkpoint.ts';
import type { Tokenizer } from '../../node/model/tokenizer.ts';
import { type Adapter, initialAdapter, withAlpha } from '../../node/training/adapter.ts';
import { readPeftAdapter } from '../../node/training/peft.ts';
import { Policy } from '../../node/training/policy.ts';
import { tokenizePairs } from '../../node/training/tokenization.ts';
import type { Judge } from '../../node/evaluation/judges/judge.ts';
import { trainAlone } from './alone.ts';
import { Assessor, type Assessment } from './assessment.ts';
import { DEMO_TERMS, type DemoData, type DemoSize, demoTraining } from './plan.ts';

export interface ComparisonInit {
  readonly checkpoint: Checkpoint;
  readonly tokenizer: Tokenizer;
  readonly size: DemoSize;
  readonly data: DemoData;
  /** The PEFT folder that the federation ended with. */
  readonly federated: string;
  readonly cores: number;
  /** Called with the participant's index at each of its steps. */
  readonly onStep: (participant: number) => void;
  readonly onAssessed: (name: string) => void;
  readonly signal: AbortSignal;
}

export interface Comparison {
  readonly judge: Judge;
  readonly base: Assessment;
  /** One a participant, in their order. */
  readonly alone: readonly Assessment[];
  readonly federated: Assessment;
}

export async function compare(init: ComparisonInit): Promise<Comparison> {
  const { checkpoint, tokenizer, data, size, cores, signal, onAssessed } = init;
  const initial = initialAdapter(checkpoint.config, DEMO_TERMS, DEMO_TERMS.alpha, size.seed);
  const alone = await trainEachAlone(init, initial);

  await using policy = await openPolicy(checkpoint, cores);
  const assessor = await Assessor.open({ checkpoint, tokenizer, policy, ...data, threads: cores, signal });
  const assess = async (name: string, adapter: Adapter | null) => {
    signal.throwIfAborted();
    const assessment = await assessor.assess(adapter);
    onAssessed(name);
    return assessment;
  };
  const base = await assess('the base model', null);
  const aloneAssessments: Assessment[] = [];
  for (const [index, vector] of alone.entries()) {
    aloneAssessments.push(await assess(`participant ${index + 1} alone`, { ...initial, vector }));
  }
  const shared = withAlpha(await readPeftAdapter(init.federated, checkpoint.config), DEMO_TERMS.alpha);
  return {
    judge: assessor.judge,
    base,
    alone: aloneAssessments,
    federated: await assess('the federated adapter', shared),
  };
}

async function trainEachAlone(init: ComparisonInit, initial: Adapter): Promise<Float32Array[]> {
  const { checkpoint, tokenizer, data, size, cores, signal, onStep } = init;
  const trained: Float32Array[] = [];
  const waiting = data.participants.entries();
  const work = async () => {
    await using policy = await openPolicy(checkpoint, 1);
    for (const [index, pairs] of waiting) {
      const tokenized = tokenizePairs(tokenizer, pairs, { maxLength: DEMO_TERMS.maxLength }).pairs;
      const learner = { pairs: tokenized, reference: await policy.logProbs(tokenized, null, { signal }) };
      trained[index] = await trainAlone(
        {
          policy,
          initial: initial.vector,
          table: initial.table,
          training: demoTraining(),
          rounds: size.rounds,
          seed: size.seed + index,
          signal,
        },
        learner,
        { onStep: () => onStep(index) },
      );
    }
  };
  await Promise.all(Array.from({ length: Math.min(cores, data.participants.length) }, work));
  return trained;
}

function openPolicy(checkpoint: Checkpoint, threads: number): Promise<Policy> {
  return Policy.open({ checkpoint, layout: DEMO_TERMS, scale: DEMO_TERMS.alpha / DEMO_TERMS.rank, threads });
}
