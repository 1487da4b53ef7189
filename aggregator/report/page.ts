/**
 * The report as one HTML page: tiles, charts, the final table, the receipts and the setting. The page loads nothing
 * and may load nothing (its content policy forbids it), so it looks the same offline and years later.
 */
import type { Proportion } from '../../node/evaluation/intervals.ts';
import { duration } from '../../node/commands/progress.ts';
import { type Chart, reportCharts } from './charts.ts';
import type { ReportData, ReportFigures, ReportReceipt, ReportResult, ReportRound } from './reportData.ts';

/** Texts that stand inside the page as they are. */
export interface PageAssets {
  readonly chartLibrary: string;
  readonly chartStyle: string;
  readonly drawCharts: string;
  readonly style: string;
}

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/** The page's text. */
export function reportPage(data: ReportData, assets: PageAssets): string {
  const charts = reportCharts(data);
  const { federation, setting, results } = data;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(federation.name)} · prefmesh</title>
<style>${assets.chartStyle}${assets.style}</style>
</head>
<body>
<main>
<header>
<h1>${escape(federation.name)}</h1>
<p class="quiet">${counted(Object.keys(setting.participantPairs).length, 'participant')} ·
${counted(data.rounds.length, 'round')} · seed ${setting.seed} · ${escape(moment(setting.started))}</p>
<div class="tiles">${tiles(data)}</div>
</header>
<h2>Round by round</h2>
<div class="charts">${charts.map(chartCard).join('')}</div>
<details><summary>The same as numbers</summary><div class="scroll">${roundTable(data)}</div></details>
<h2>Base, alone, together</h2>
<div class="scroll">${resultTable(results)}</div>
<p class="quiet">Preference accuracy on the global evaluation set of ${setting.evaluationPairs} pairs, with its 95 % Wilson interval${judgeNote(data)}.</p>
<h2>Receipts</h2>
<div class="scroll receipts">${receiptTable(data.receipts)}</div>
<h2>How this was measured</h2>
<dl>${settingList(data)}</dl>
</main>
<script type="application/json" id="charts">${escapeScript(JSON.stringify(charts))}</script>
<script>${assets.chartLibrary}</script>
<script>${assets.drawCharts}</script>
</body>
</html>
`;
}

function tiles(data: ReportData): string {
  const federated = data.results.find(({ kind }) => kind === 'federated')?.figures;
  if (federated === undefined) return '';
  const alone = data.results.filter(({ kind }) => kind === 'alone').map(({ figures }) => figures.accuracy.value);
  const gain = federated.accuracy.value - Math.max(...alone);
  const bytes = data.rounds.flatMap(({ bytesSent }) => Object.values(bytesSent)).reduce((sum, sent) => sum + sent, 0);
  const shown: [string, string][] = [
    ['preference accuracy', percent(federated.accuracy.value)],
    ...(alone.length === 0 ? [] : [['points over the best alone', signed(gain * 100)] as [string, string]]),
    ...(federated.winRate === null
      ? []
      : [['win rate over the base', percent(federated.winRate.value)] as [string, string]]),
    ['perplexity against the base', `× ${(federated.perplexity / data.base.perplexity).toFixed(3)}`],
    ['sent in all', mebibytes(bytes)],
    ['from start to end', duration(data.setting.seconds)],
  ];
  return shown
    .map(([label, value]) => `<div class="tile"><b>${escape(value)}</b><span class="quiet">${label}</span></div>`)
    .join('');
}

function chartCard({ id, title, note }: Chart): string {
  return `<section class="chart"><h3>${escape(title)}</h3><p class="quiet">${escape(note)}</p><div id="chart-${id}" role="img" aria-label="${escape(title)}"></div></section>`;
}

function resultTable(results: readonly ReportResult[]): string {
  const tastes = Object.keys(results[0]?.figures.byTaste ?? {});
  const rows = results.map(
    ({ name, kind, figures }) =>
      `<tr class="${kind}"><th scope="row">${escape(name)}</th><td>${interval(figures.accuracy)}</td>${tastes
        .map(
          (taste) => `<td>${figures.byTaste[taste] === undefined ? '–' : percent(figures.byTaste[taste].value)}</td>`,
        )
        .join('')}<td>${winRateCell(figures)}</td><td>${figures.perplexity.toFixed(3)}</td></tr>`,
  );
  const heads = ['', 'accuracy', ...tastes, 'win rate', 'perplexity'];
  return table(heads, rows);
}

function roundTable({ base, rounds }: ReportData): string {
  const row = (head: string, figures: ReportFigures, round?: ReportRound) => {
    const sent = round === undefined ? 0 : Object.values(round.bytesSent).reduce((sum, bytes) => sum + bytes, 0);
    return `<tr><th scope="row">${head}</th><td>${round?.factor ?? '–'}</td><td>${round?.outcome ?? '–'}</td><td>${interval(figures.accuracy)}</td><td>${winRateCell(figures)}</td><td>${figures.perplexity.toFixed(3)}</td><td>${round === undefined ? '–' : mebibytes(sent)}</td></tr>`;
  };
  const heads = ['round', 'factor', 'outcome', 'accuracy', 'win rate', 'perplexity', 'sent'];
  return table(heads, [row('base', base), ...rounds.map((round) => row(String(round.round), round.figures, round))]);
}

function receiptTable(receipts: readonly ReportReceipt[]): string {
  const rows = receipts.map(
    ({ round, receipt, output, accepted, refused, verifiedBy }) =>
      `<tr><th scope="row">${round}</th><td>${accepted} accepted, ${refused} refused</td><td>${counted(verifiedBy, 'participant')}</td><td><code>${escape(receipt)}</code></td><td><code>${escape(output)}</code></td></tr>`,
  );
  return table(['round', 'updates', 'verified by', 'SHA-256 of the receipt', 'SHA-256 of the adapter'], rows);
}

function settingList({ federation, setting }: ReportData): string {
  const pairs = Object.entries(setting.participantPairs).map(([name, count]) => `${name} ${count}`);
  const entries: [string, string][] = [
    ['Machine', setting.machine],
    ['Device', setting.device],
    ['Seed', String(setting.seed)],
    ['Base model', `${setting.baseModel} (SHA-256 ${setting.baseModelHash})`],
    ['Federation', federation.id],
    ['Aggregation rule', setting.rule],
    ['Evaluation pairs', String(setting.evaluationPairs)],
    ['Private pairs', pairs.join(', ')],
    ...(setting.judge === null
      ? []
      : [['Judge', `${setting.judge.name}: ${setting.judge.description}`] as [string, string]]),
  ];
  return entries.map(([term, text]) => `<dt>${term}</dt><dd>${escape(text)}</dd>`).join('');
}

function judgeNote({ setting }: ReportData): string {
  return setting.judge === null ? '' : `; win rate over the base by the judge ${escape(setting.judge.name)}`;
}

function table(heads: readonly string[], rows: readonly string[]): string {
  const head = heads.map((text) => `<th scope="col">${escape(text)}</th>`).join('');
  return `<table><thead><tr>${head}</tr></thead><tbody>${rows.join('')}</tbody></table>`;
}

function interval({ value, low, high }: Proportion): string {
  return `${percent(value)} <small>${(low * 100).toFixed(1)}–${(high * 100).toFixed(1)}</small>`;
}

function winRateCell({ winRate }: ReportFigures): string {
  return winRate === null ? '–' : percent(winRate.value);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function signed(points: number): string {
  return `${points < 0 ? '−' : '+'}${Math.abs(points).toFixed(1)}`;
}

function mebibytes(bytes: number): string {
  return bytes >= 2 ** 20 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : `${(bytes / 2 ** 10).toFixed(1)} KiB`;
}

/** `2026-11-22 10:00 UTC`. */
function moment(iso: string): string {
  return `${new Date(iso).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function escape(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return text.replace(/[&<>"]/g, (character) => entities[character] ?? character);
}

/** JSON that cannot end the script element it stands in. */
function escapeScript(json: string): string {
  return json.replaceAll('<', '\\u003c');
}
