/**
 * One sitting of `prefmesh train`: the steps from where a run stands to its end, with what happens between them.
 *
 * After each step, in this order: its line is reported, the held-out pairs are evaluated if it is time, the run is
 * saved if it is time, and early stopping decides. A sitting that is cut short anywhere in this leaves a state from
 * which the next one does what is left of it, so that lines and adapter come out as those of an unbroken run.
 */
import { better, evaluateLoss, type EvaluationSet } from '../training/evaluationLoss.ts';
import type { StepMetrics } from '../training/metrics.ts';
import type { Policy } from '../training/policy.ts';
import { trainAdapter, type TrainingState } from '../training/trainer.ts';
import type { MetricLine, MetricSink } from '../training/trainingLog.ts';
import { saveTraining, type BestAdapter, type References, type SavedTraining } from '../training/trainingState.ts';
import type { Output } from './output.ts';
import type { Progress } from './progress.ts';
import { noteKept } from './signal.ts';
import type { TrainingRun } from './trainRun.ts';

export interface SessionInput {
  readonly references: References;
  /** What the run is watched on. */
  readonly watch: EvaluationSet | null;
  /** Where the run stands; null at its beginning. */
  readonly saved: SavedTraining | null;
  readonly sinks: readonly MetricSink[];
  readonly output: Output;
  readonly signal: AbortSignal;
}

export interface FinishedRun {
  /** The last adapter, or with early stopping the best one. */
  readonly vector: Float32Array;
  /** The step that it comes from. */
  readonly step: number;
  /** Steps that were made. */
  readonly steps: number;
}

/** Trains to the end. Interrupted, it saves the last finished step before it rejects. */
export async function runSession(run: TrainingRun, policy: Policy, input: SessionInput): Promise<FinishedRun> {
  const session = new TrainingSession(run, policy, input);
  return session.run();
}

class TrainingSession {
  readonly #run: TrainingRun;
  readonly #policy: Policy;
  readonly #input: SessionInput;
  readonly #progress: Progress;
  #best: BestAdapter | null;
  #latest: TrainingState | null;
  /** The step last evaluated. */
  #evaluated: number | null;
  /** The step last saved. */
  #saved: number | null;

  constructor(run: TrainingRun, policy: Policy, input: SessionInput) {
    const { saved, output } = input;
    this.#run = run;
    this.#policy = policy;
    this.#input = input;
    this.#best = saved?.best ?? null;
    this.#latest = saved?.state ?? null;
    this.#evaluated = saved?.evaluated ?? null;
    this.#saved = saved?.state.step ?? null;
    const label = `training on ${run.settings.device}`;
    this.#progress = output.progress({
      label,
      total: run.plan.totalSteps,
      unit: 'steps',
      from: saved?.state.step ?? 0,
    });
  }

  async run(): Promise<FinishedRun> {
    const { start, terms, training, out } = this.#run;
    const { saved, references, signal } = this.#input;
    noteKept(saved === null ? 'nothing, no step was finished' : `the run after step ${saved.state.step}, in ${out}`);
    try {
      await this.#evaluateIfDue(saved?.state.step ?? 0, saved?.state.adapter ?? start.vector);
      let vector = saved?.state.adapter ?? start.vector;
      if (!this.#stopsEarly) {
        const { adapter } = await trainAdapter(this.#policy, training.pairs, {
          adapter: start.vector,
          table: start.table,
          reference: references.training,
          terms,
          resume: saved?.state,
          signal,
          onStep: (metrics, state) => this.#afterStep(metrics, state),
        });
        vector = adapter;
      }
      const steps = this.#latest?.step ?? 0;
      const best = this.#best;
      return best === null ? { vector, step: steps, steps } : { vector: best.adapter, step: best.step, steps };
    } catch (error) {
      if (signal.aborted && this.#latest !== null && this.#latest.step !== this.#saved) await this.#save(this.#latest);
      throw error;
    } finally {
      this.#progress.end();
    }
  }

  async #afterStep(metrics: StepMetrics, state: TrainingState): Promise<'stop' | void> {
    await this.#report(metrics);
    this.#latest = state;
    const { loss, 'rewards/margins': margin } = metrics;
    const speed = `${metrics.tokens_per_second.toFixed(0)} tokens/s`;
    this.#progress.update(metrics.step, `${speed}  loss ${loss.toFixed(4)}  margin ${margin.toFixed(3)}`);
    await this.#evaluateIfDue(state.step, state.adapter);
    if (state.step % this.#run.checkpointEvery === 0) await this.#save(state);
    if (this.#stopsEarly) return 'stop';
  }

  async #evaluateIfDue(step: number, adapter: Float32Array): Promise<void> {
    const { evaluateEvery, plan, earlyStop } = this.#run;
    const { watch, output, signal } = this.#input;
    if (watch === null || this.#evaluated === step) return;
    if (step % evaluateEvery !== 0 && step !== plan.totalSteps) return;
    this.#progress.end();
    const metrics = await evaluateLoss(this.#policy, watch, adapter, step, { signal });
    if (earlyStop !== null) this.#best = better(this.#best, metrics, adapter, earlyStop.delta);
    this.#evaluated = step;
    await this.#report({ ...metrics, epoch: step / plan.stepsPerEpoch });
    const accuracy = metrics['eval_rewards/accuracies'].toFixed(3);
    const ties = metrics['eval_rewards/ties'];
    output.human(
      `after step ${step}: evaluation loss ${metrics.eval_loss.toFixed(4)}, accuracy ${accuracy}` +
        (ties === 0 ? '' : `, ties ${ties.toFixed(3)}`),
    );
  }

  get #stopsEarly(): boolean {
    const { earlyStop } = this.#run;
    return earlyStop !== null && this.#best !== null && this.#best.waited >= earlyStop.patience;
  }

  async #report(line: MetricLine): Promise<void> {
    // What became of the pairs is said once, on the line that every run has.
    const withCounts = line.step === 1 && 'grad_norm' in line;
    this.#input.output.json(withCounts ? { ...line, pairs: this.#run.training.counts } : line);
    for (const sink of this.#input.sinks) await sink.write(line);
  }

  /** The logs become durable before the state does, so that a log always reaches as far as the states. */
  async #save(state: TrainingState): Promise<void> {
    const { out, course } = this.#run;
    const { sinks, references } = this.#input;
    for (const sink of sinks) await sink.sync();
    await saveTraining(out, course, { state, best: this.#best, evaluated: this.#evaluated, references });
    this.#saved = state.step;
    noteKept(`the run after step ${state.step}, in ${out}; --resume goes on from there`);
  }
}
