/**
 * Which curves a report shows: from the figures of a run to chart descriptions that the page's script draws.
 */
import type { ReportData, ReportFigures } from './reportData.ts';

export type ChartFormat = 'percent' | 'number' | 'bytes';

export interface ChartSeries {
  readonly name: string;
  /** One value for each x; null leaves a gap. */
  readonly values: readonly (number | null)[];
  /** Index into the page's palette; `muted` for lines to compare with. */
  readonly colour: number | 'muted';
  readonly style: 'line' | 'dashed' | 'bars';
}

export interface Chart {
  readonly id: string;
  readonly title: string;
  /** One sentence on how to read it. */
  readonly note: string;
  readonly x: readonly number[];
  readonly format: ChartFormat;
  readonly series: readonly ChartSeries[];
  /** A band around the first series, `[x]` each. */
  readonly band?: { readonly low: readonly number[]; readonly high: readonly number[] };
}

/** Perplexity of the chosen answers may rise by this factor over the base's before a run counts as harmful. */
const PERPLEXITY_BOUND = 1.1;

/** The charts of a run, in the order they are shown; those without figures are left out. */
export function reportCharts(data: ReportData): Chart[] {
  const figures = [data.base, ...data.rounds.map((round) => round.figures)];
  const x = figures.map((_, round) => round);
  return [
    accuracyChart(data, figures, x),
    tasteChart(figures, x),
    ...winRateChart(figures, x),
    perplexityChart(data, figures, x),
    lossChart(data),
    bytesChart(data),
  ];
}

function accuracyChart(data: ReportData, figures: readonly ReportFigures[], x: number[]): Chart {
  const alone = data.results.filter(({ kind }) => kind === 'alone');
  const best = Math.max(...alone.map((result) => result.figures.accuracy.value));
  return {
    id: 'accuracy',
    title: 'Preference accuracy',
    note: `Share of ${data.setting.evaluationPairs} unseen pairs that the global adapter ranks as people did; shaded, the 95 % Wilson interval.`,
    x,
    format: 'percent',
    series: [
      { name: 'federated', values: figures.map(({ accuracy }) => accuracy.value), colour: 0, style: 'line' },
      ...(alone.length === 0
        ? []
        : [{ name: 'best alone', values: x.map(() => best), colour: 'muted', style: 'dashed' } as const]),
    ],
    band: { low: figures.map(({ accuracy }) => accuracy.low), high: figures.map(({ accuracy }) => accuracy.high) },
  };
}

function tasteChart(figures: readonly ReportFigures[], x: number[]): Chart {
  const tastes = Object.keys(figures[0]?.byTaste ?? {});
  return {
    id: 'tastes',
    title: 'Accuracy by taste',
    note: 'The same accuracy, apart for the pairs of each taste.',
    x,
    format: 'percent',
    series: tastes.map((taste, index) => ({
      name: taste,
      values: figures.map(({ byTaste }) => byTaste[taste]?.value ?? null),
      colour: index,
      style: 'line',
    })),
  };
}

function winRateChart(figures: readonly ReportFigures[], x: number[]): Chart[] {
  const judge = figures.slice(1).find(({ winRate }) => winRate !== null)?.winRate?.judge;
  if (judge === undefined) return [];
  return [
    {
      id: 'win-rate',
      title: 'Win rate over the base',
      note: `How often the judge ${judge} prefers the global adapter's answer in both orders; ties count half.`,
      x,
      format: 'percent',
      series: [
        { name: 'win rate', values: figures.map(({ winRate }) => winRate?.value ?? null), colour: 0, style: 'line' },
        { name: 'even', values: x.map(() => 0.5), colour: 'muted', style: 'dashed' },
      ],
    },
  ];
}

function perplexityChart(data: ReportData, figures: readonly ReportFigures[], x: number[]): Chart {
  const bound = data.base.perplexity * PERPLEXITY_BOUND;
  return {
    id: 'perplexity',
    title: 'Perplexity of chosen answers',
    note: 'Per token, lower is better. The dashed line is the base model’s, plus ten per cent.',
    x,
    format: 'number',
    series: [
      { name: 'federated', values: figures.map(({ perplexity }) => perplexity), colour: 0, style: 'line' },
      { name: 'base + 10 %', values: x.map(() => bound), colour: 'muted', style: 'dashed' },
    ],
  };
}

/** Step `k` of `n` in round `r` stands at `r - 1 + k / n`, so that participants with different numbers of steps align. */
function lossChart({ rounds }: ReportData): Chart {
  const participants = [...new Set(rounds.flatMap(({ losses }) => Object.keys(losses)))];
  const points = participants.map((participant) => {
    const steps = rounds.flatMap(({ round, losses }) => {
      const ofRound = losses[participant] ?? [];
      return ofRound.map((loss, step) => [round - 1 + (step + 1) / ofRound.length, loss] as const);
    });
    return new Map(steps);
  });
  const x = [...new Set(points.flatMap((steps) => [...steps.keys()]))].toSorted((a, b) => a - b);
  return {
    id: 'loss',
    title: 'Training loss',
    note: 'DPO loss of each optimiser step, by participant, on its own private pairs.',
    x,
    format: 'number',
    series: participants.map((name, index) => ({
      name,
      values: x.map((at) => points[index]?.get(at) ?? null),
      colour: index,
      style: 'line',
    })),
  };
}

function bytesChart({ rounds }: ReportData): Chart {
  return {
    id: 'bytes',
    title: 'Bytes sent',
    note: 'What all participants together sent in each round. Pairs never leave their machines.',
    x: rounds.map(({ round }) => round),
    format: 'bytes',
    series: [
      {
        name: 'all participants',
        values: rounds.map(({ bytesSent }) => Object.values(bytesSent).reduce((sum, bytes) => sum + bytes, 0)),
        colour: 0,
        style: 'bars',
      },
    ],
  };
}
