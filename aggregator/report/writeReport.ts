/**
 * Writes a report page to disk, with everything it needs inside.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { writeFileAtomic } from '../../node/storage/atomicFile.ts';
import { type PageAssets, reportPage } from './page.ts';
import type { ReportData } from './reportData.ts';

/** Writes the page to `file`, whose folder must exist. */
export async function writeReport(file: string, data: ReportData): Promise<void> {
  await writeFileAtomic(file, reportPage(data, await readAssets()), { mode: 0o644 });
}

async function readAssets(): Promise<PageAssets> {
  const library = import.meta.resolve('uplot');
  const [chartLibrary, chartStyle, drawCharts, style] = await Promise.all([
    read(new URL('./uPlot.iife.min.js', library)),
    read(new URL('./uPlot.min.css', library)),
    read(new URL('./drawCharts.js', import.meta.url)),
    read(new URL('./page.css', import.meta.url)),
  ]);
  return { chartLibrary, chartStyle, drawCharts, style };
}

function read(url: URL): Promise<string> {
  return readFile(fileURLToPath(url), 'utf8');
}
