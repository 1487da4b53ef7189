/**
 * Aggregation of a large round, side by side with NumPy where it is installed; memory by the number of updates; and
 * verification from a receipt. Each measurement is a process of its own, and the contenders take turns.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Measured } from '../aggregation/contender.ts';
import { writeWorkload } from '../aggregation/workload.ts';
import type { BenchSettings, SectionResult } from '../section.ts';
import { show, spreadOf } from '../statistics.ts';

const UPDATES = 100;
/** 10 MB and 2 MB an update. */
const LARGE = 30;
const SMALL = 6;
const folderOf = join(import.meta.dirname, '..', 'aggregation');

interface Contender {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
}

type Measurements = ReadonlyMap<string, readonly Measured[]>;

export async function aggregationSection(settings: BenchSettings): Promise<SectionResult[]> {
  await using temporary = await mkdtempDisposable(join(tmpdir(), 'prefmesh-aggregation-'));
  const python = ['/usr/bin/python3', 'python3'].find((name) => !spawnSync(name, ['-c', 'import numpy']).status);
  if (python === undefined) settings.say('NumPy is not installed: only this implementation is measured');
  const results: SectionResult[] = [];
  const folder = join(temporary.path, 'large');
  settings.say('writing 100 updates of 10 MB');
  const { updateBytes } = await writeWorkload(folder, LARGE, UPDATES);
  const megabytes = (updateBytes / 1e6).toFixed(1);
  const own = (what: string, count = UPDATES, layers = LARGE, at = folder): Contender => ({
    name: what,
    program: process.execPath,
    args: [join(folderOf, 'contender.ts'), what, at, String(count), String(layers)],
  });
  const numpy = (what: string): Contender[] =>
    python === undefined
      ? []
      : [
          {
            name: `numpy ${what}`,
            program: python,
            args: [join(folderOf, 'numpy_rules.py'), what, folder, String(UPDATES)],
          },
        ];

  const means = ['mean-memory', 'mean-files'];
  const meanTimes = takeTurns(
    means.flatMap((what) => [own(what), ...numpy(what)]),
    settings,
  );
  results.push({
    title: `Exact mean of ${UPDATES} updates of ${megabytes} MB`,
    columns: ['contender', 's', 'peak MiB'],
    rows: rowsOf(meanTimes, {
      'mean-memory': 'prefmesh, arrays in memory',
      'numpy mean-memory': 'NumPy, arrays in memory',
      'mean-files': 'prefmesh, from files',
      'numpy mean-files': 'NumPy, from files',
    }),
    notes: agreement(meanTimes),
  });

  const robustTimes = takeTurns([own('robust'), ...numpy('robust-files'), ...numpy('robust-memory')], settings);
  results.push({
    title: `The default rule over ${UPDATES} updates of ${megabytes} MB`,
    columns: ['contender', 's', 'peak MiB'],
    rows: rowsOf(robustTimes, {
      robust: 'prefmesh, from files to the new adapter',
      'numpy robust-files': 'NumPy, from files',
      'numpy robust-memory': 'NumPy, arrays in memory',
    }),
    notes: agreement(robustTimes),
  });

  const once = { ...settings, runs: 1 };
  const counts = [10, 50, UPDATES];
  const rules = ['alternating', 'clipped-mean', 'median', 'robust'];
  settings.say('memory by the number of updates');
  results.push({
    title: `Peak memory by the number of updates of ${megabytes} MB, MiB`,
    columns: ['rule', ...counts.map((count) => `${count} updates`)],
    rows: rules.flatMap((rule) => {
      const peaks = counts.flatMap((count) => takeTurns([own(rule, count)], once).get(rule) ?? []);
      return peaks.length === 0 ? [] : [[rule, ...peaks.map(({ peakMiB }) => peakMiB.toFixed(0))]];
    }),
    notes: [],
  });

  const small = join(temporary.path, 'small');
  await writeWorkload(small, SMALL, UPDATES);
  const { candidate } = measure(own('robust', UPDATES, SMALL, small));
  await writeFile(join(small, 'candidate'), candidate!);
  const verified = takeTurns([own('verify', UPDATES, SMALL, small)], settings);
  results.push({
    title: `Verification of a round of ${UPDATES} updates of 2 MB from its receipt, by the default rule`,
    columns: ['what', 's', 'peak MiB'],
    rows: rowsOf(verified, { verify: verified.get('verify')?.[0]!.result ?? '' }),
    notes: [],
  });
  return results.filter(({ rows }) => rows.length > 0);
}

function takeTurns(contenders: readonly Contender[], { runs, only, say }: BenchSettings): Measurements {
  const found = new Map<string, Measured[]>();
  for (let run = 0; run < runs; run++) {
    for (const contender of contenders) {
      if (only?.some((part) => !contender.name.includes(part))) continue;
      const measured = measure(contender);
      if (runs > 1) say(`${contender.name}: ${measured.seconds.toFixed(2)} s, ${measured.peakMiB.toFixed(0)} MiB`);
      found.set(contender.name, [...(found.get(contender.name) ?? []), measured]);
    }
  }
  return found;
}

function measure({ name, program, args }: Contender): Measured {
  const child = spawnSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (child.status !== 0) throw new Error(`${name} ended with ${child.status ?? child.signal}`);
  return JSON.parse(child.stdout) as Measured;
}

function rowsOf(measurements: Measurements, titles: Readonly<Record<string, string>>): string[][] {
  return Object.entries(titles).flatMap(([name, title]) => {
    const found = measurements.get(name);
    if (found === undefined) return [];
    const peak = Math.max(...found.map(({ peakMiB }) => peakMiB));
    return [[title, show(spreadOf(found.map(({ seconds }) => seconds))), peak.toFixed(0)]];
  });
}

/** Whether all contenders found the same; nothing where there are no two. */
function agreement(measurements: Measurements): string[] {
  if (measurements.size < 2) return [];
  const sums = new Set([...measurements.values()].flat().map(({ result }) => result));
  return [sums.size === 1 ? 'All give the same sum of all values.' : `Results differ: ${[...sums].join(', ')}.`];
}
