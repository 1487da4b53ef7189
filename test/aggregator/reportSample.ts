/** A run's figures for tests of the report: made up, but of the shape and size of a real run. */
import type { ReportData, ReportFigures } from '../../aggregator/report/reportData.ts';
import { proportion } from '../../node/evaluation/intervals.ts';

const TASTES = ['informal', 'concise', 'technical', 'citing'];
const PARTICIPANTS = ['ada', 'ben', 'cleo', 'dana'];
const PAIRS = 400;

/** Figures at a given accuracy, the tastes spread around it. */
export function sampleFigures(accuracy: number, winRate: number | null = accuracy): ReportFigures {
  const wins = Math.round(accuracy * PAIRS);
  const spread = [0.06, -0.03, 0.02, -0.05];
  return {
    accuracy: proportion(wins, 0, PAIRS),
    byTaste: Object.fromEntries(
      TASTES.map((taste, index) => {
        const share = Math.min(1, Math.max(0, accuracy + (spread[index] ?? 0)));
        return [taste, proportion(Math.round(share * 100), 0, 100)];
      }),
    ),
    winRate: winRate === null ? null : { ...proportion(winRate * 64, 0, 64), inconsistent: 0, judge: 'style' },
    perplexity: 4.2 - accuracy / 4,
  };
}

/** A run of `rounds` rounds; `overrides` replace parts of it. */
export function sampleReport(rounds: number, overrides: Partial<ReportData> = {}): ReportData {
  const steps = 12;
  const accuracyAfter = (round: number) => 0.5 + 0.38 * (1 - Math.exp(-round / 2));
  const numbers = Array.from({ length: rounds }, (_, index) => index + 1);
  const hash = (index: number) => index.toString(16).padStart(64, 'a1b2c3d4');
  return {
    federation: { name: 'Notes style', id: hash(1) },
    setting: {
      machine: 'Example CPU, 2 cores, 8 GiB, Linux 6.1, Node 24.21.0',
      device: 'cpu',
      seed: 7,
      started: '2026-11-22T10:00:00.000Z',
      seconds: 163,
      baseModel: 'embedded',
      baseModelHash: hash(2),
      rule: 'alternating',
      evaluationPairs: PAIRS,
      participantPairs: Object.fromEntries(PARTICIPANTS.map((name) => [name, 240])),
      judge: { name: 'style', description: 'rules that count styles; blind to correctness' },
    },
    base: sampleFigures(0.5),
    rounds: numbers.map((round) => ({
      round,
      factor: round % 2 === 1 ? 'B' : 'A',
      outcome: 'published',
      figures: sampleFigures(accuracyAfter(round)),
      bytesSent: Object.fromEntries(PARTICIPANTS.map((name, index) => [name, 190_000 + index * 500 + round * 90])),
      losses: Object.fromEntries(
        PARTICIPANTS.map((name, index) => [
          name,
          Array.from({ length: steps }, (_, step) => {
            const at = (round - 1) * steps + step;
            return 0.15 + 0.54 * Math.exp(-at / (24 + 6 * index)) + 0.03 * Math.sin(at * (index + 1.7));
          }),
        ]),
      ),
    })),
    results: [
      { name: 'base', kind: 'base', figures: sampleFigures(0.5) },
      ...PARTICIPANTS.map((name, index) => ({
        name: `${name} alone`,
        kind: 'alone' as const,
        figures: sampleFigures(0.6 + index * 0.02),
      })),
      { name: 'federated', kind: 'federated', figures: sampleFigures(accuracyAfter(rounds)) },
    ],
    receipts: numbers.map((round) => ({
      round,
      receipt: hash(round + 10),
      output: hash(round + 100),
      accepted: 4,
      refused: 0,
      verifiedBy: 4,
    })),
    ...overrides,
  };
}
