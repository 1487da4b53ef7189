/**
 * The report page of a demo, from what its processes said and what was measured at the end.
 */
import { availableParallelism, cpus, totalmem } from 'node:os';
import type { Checkpoint } from '../../node/model/checkpoint.ts';
import type { ReportData, ReportFigures } from '../report/reportData.ts';
import type { Assessment } from './assessment.ts';
import type { Comparison } from './comparison.ts';
import type { FederationRecord } from './federationRun.ts';
import type { DemoData, DemoSize } from './plan.ts';

export interface DemoOutcome {
  readonly size: DemoSize;
  readonly data: DemoData;
  readonly checkpoint: Checkpoint;
  readonly device: string;
  readonly rule: string;
  readonly record: FederationRecord;
  readonly comparison: Comparison;
  readonly started: Date;
  readonly seconds: number;
}

export function reportOfDemo({ record, comparison, ...outcome }: DemoOutcome): ReportData {
  const { size, data, checkpoint } = outcome;
  const participants = record.participants.map((participant, index) => ({ ...participant, name: nameOf(index) }));
  const base = figuresOf(comparison.base);
  let standing = base;
  return {
    federation: { name: 'Four tastes', id: record.federation },
    setting: {
      machine: machineText(),
      device: outcome.device,
      seed: size.seed,
      started: outcome.started.toISOString(),
      seconds: outcome.seconds,
      baseModel: checkpoint.name,
      baseModelHash: checkpoint.hash,
      rule: outcome.rule,
      evaluationPairs: data.evaluation.length,
      participantPairs: Object.fromEntries(data.participants.map((pairs, index) => [nameOf(index), pairs.length])),
      judge: comparison.judge,
    },
    base,
    rounds: record.rounds.map(({ round, factor, outcome: ending, accuracy, byTaste, figures }) => {
      // A skipped round leaves the adapter, and so its figures, as they were.
      if (ending === 'published' && accuracy !== null && figures !== null) {
        standing = { accuracy, byTaste, winRate: null, perplexity: figures.evaluation.perplexity };
      }
      return {
        round,
        factor,
        outcome: ending,
        figures: standing,
        bytesSent: Object.fromEntries(participants.map(({ name, bytesSent }) => [name, bytesSent.get(round) ?? 0])),
        losses: Object.fromEntries(participants.map(({ name, losses }) => [name, losses.get(round) ?? []])),
      };
    }),
    results: [
      { name: 'base', kind: 'base', figures: base },
      ...comparison.alone.map((assessment, index) => ({
        name: `${nameOf(index)} alone`,
        kind: 'alone' as const,
        figures: figuresOf(assessment),
      })),
      { name: 'federated', kind: 'federated', figures: figuresOf(comparison.federated) },
    ],
    receipts: record.rounds.map(({ round, receipt, adapter, updates }) => ({
      round,
      receipt,
      output: adapter,
      accepted: updates,
      refused: record.refused,
      verifiedBy: participants.filter(({ verified }) => verified.has(round)).length,
    })),
  };
}

/** `participant 1`, with the number people see. */
export function nameOf(index: number): string {
  return `participant ${index + 1}`;
}

function figuresOf({ preferences, winRate }: Assessment): ReportFigures {
  const { accuracy, byGroup, perplexity } = preferences;
  return { accuracy, byTaste: byGroup ?? {}, winRate, perplexity };
}

function machineText(): string {
  const memory = Math.round(totalmem() / 2 ** 30);
  const processor = cpus()[0]?.model.trim() ?? 'unknown processor';
  return `${processor}, ${availableParallelism()} cores, ${memory} GiB, ${process.platform} ${process.arch}, Node ${process.version}`;
}
