/**
 * What every section of the benchmark has in common: the settings it is given, and the table it answers.
 */
import type { Device } from '../../node/engine/device.ts';

export interface BenchSettings {
  /** Measurements of each contender that count. */
  readonly runs: number;
  readonly threads: number;
  readonly device: Device;
  /** Whether PyTorch takes part. */
  readonly against: 'pytorch' | undefined;
  /** Contenders to leave out all but: whole names, or parts of names where none is the whole name. */
  readonly only: readonly string[] | undefined;
  /** Models to leave out all but, by a part of the name; all but the tiny one if absent. */
  readonly model: string | undefined;
  readonly say: (text: string) => void;
}

export interface SectionResult {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Sentences below the table: ratios, agreement. */
  readonly notes: readonly string[];
}

export type Section = (settings: BenchSettings) => Promise<SectionResult[]>;

/** A Markdown table with its title and notes. */
export function showSection({ title, columns, rows, notes }: SectionResult): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`;
  const table = line(columns) + line(columns.map(() => '---')) + rows.map(line).join('');
  return `\n### ${title}\n\n${table}${notes.map((note) => `\n${note}\n`).join('')}`;
}
