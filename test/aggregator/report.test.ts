import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { reportCharts } from '../../aggregator/report/charts.ts';
import { writeReport } from '../../aggregator/report/writeReport.ts';
import { sampleFigures, sampleReport } from './reportSample.ts';

const BROWSERS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'].flatMap((name) =>
  (process.env.PATH ?? '').split(':').map((folder) => join(folder, name)),
);

const chartOf = (id: string, data = sampleReport(3)) => {
  const chart = reportCharts(data).find((candidate) => candidate.id === id);
  assert.ok(chart, id);
  return chart;
};

describe('the charts of a report', () => {
  it('begin with the base and follow the global adapter round by round', () => {
    const data = sampleReport(3);
    const { x, series, band } = chartOf('accuracy', data);
    assert.deepEqual(x, [0, 1, 2, 3]);
    assert.deepEqual(series[0]?.values, [0.5, ...data.rounds.map(({ figures }) => figures.accuracy.value)]);
    assert.equal(band?.low[2], data.rounds[1]?.figures.accuracy.low);
    assert.equal(band?.high[2], data.rounds[1]?.figures.accuracy.high);
  });

  it('compare with the best participant alone', () => {
    const best = chartOf('accuracy').series.find(({ name }) => name === 'best alone');
    assert.deepEqual(best?.values, [0.66, 0.66, 0.66, 0.66]);
  });

  it('give each taste a curve of its own', () => {
    const names = chartOf('tastes').series.map(({ name }) => name);
    assert.deepEqual(names, ['informal', 'concise', 'technical', 'citing']);
  });

  it('leave the win rate out where no round was judged', () => {
    const data = sampleReport(2);
    const without = {
      ...data,
      rounds: data.rounds.map((round) => ({ ...round, figures: sampleFigures(0.7, null) })),
    };
    assert.equal(
      reportCharts(without).some(({ id }) => id === 'win-rate'),
      false,
    );
  });

  it('add up what all participants sent', () => {
    const data = sampleReport(1);
    const round = { ...data.rounds[0]!, bytesSent: { ada: 100, ben: 23 } };
    assert.deepEqual(chartOf('bytes', { ...data, rounds: [round] }).series[0]?.values, [123]);
  });

  it('place the steps of each round within it, whatever their number', () => {
    const data = sampleReport(1);
    const rounds = [1, 2].map((round) => ({ ...data.rounds[0]!, round, losses: { ada: [0.7, 0.6], ben: [0.5] } }));
    const { x, series } = chartOf('loss', { ...data, rounds });
    assert.deepEqual(x, [0.5, 1, 1.5, 2]);
    assert.deepEqual(series[0]?.values, [0.7, 0.6, 0.7, 0.6]);
    assert.deepEqual(series[1]?.values, [null, 0.5, null, 0.5]);
  });
});

describe('the report page', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'prefmesh-report-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  async function written(data = sampleReport(6)): Promise<{ file: string; html: string }> {
    const file = join(folder, 'report.html');
    await writeReport(file, data);
    return { file, html: readFileSync(file, 'utf8') };
  }

  it('refers to nothing outside itself', async () => {
    const { html } = await written();
    assert.doesNotMatch(html, /<link|<img|<iframe|@import|\bsrc=|\bhref=/);
    assert.match(html, /default-src 'none'/);
  });

  it('holds the final table, the receipts, the machine and the seed', async () => {
    const data = sampleReport(6);
    const { html } = await written(data);
    for (const { receipt, output } of data.receipts) assert.ok(html.includes(receipt) && html.includes(output));
    for (const { name } of data.results) assert.ok(html.includes(`<th scope="row">${name}</th>`), name);
    assert.ok(html.includes(data.setting.machine));
    assert.ok(html.includes('seed 7'));
  });

  it('shows names as text, whatever they contain', async () => {
    const name = '</script><b>"x" & co</b>';
    const data = sampleReport(1, { federation: { name, id: 'f' } });
    const { html } = await written({ ...data, results: data.results.map((result) => ({ ...result, name })) });
    assert.ok(!html.includes(name));
    assert.ok(html.includes('&lt;/script&gt;&lt;b&gt;&quot;x&quot; &amp; co&lt;/b&gt;'));
  });

  describe('in a browser (skipped where no chromium is on the PATH)', function () {
    let browser: Browser;
    before(async function () {
      const executablePath = BROWSERS.find((path) => existsSync(path));
      if (executablePath === undefined) this.skip();
      browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
    });
    after(() => browser?.close());

    async function opened(options: { colorScheme?: 'light' | 'dark'; width?: number } = {}): Promise<Page> {
      const { file } = await written();
      const { colorScheme = 'light', width = 1200 } = options;
      const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 }, offline: true });
      const page = await context.newPage();
      const faults: string[] = [];
      page.on('pageerror', (error) => faults.push(error.message));
      page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
      await page.goto(pathToFileURL(file).href);
      assert.deepEqual(faults, []);
      return page;
    }

    /** How many pixels of a chart's canvas are painted in a colour near the given one. */
    function painted(page: Page, chart: string, variable: string): Promise<number> {
      const script = `(() => {
        const canvas = document.querySelector('#chart-${chart} canvas');
        const probe = document.createElement('div');
        probe.style.color = getComputedStyle(document.documentElement).getPropertyValue('${variable}');
        document.body.append(probe);
        const [r, g, b] = getComputedStyle(probe).color.match(/\\d+/g).map(Number);
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let count = 0;
        for (let i = 0; i < data.length; i += 4) {
          if (data[i + 3] > 200 && Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 12) count++;
        }
        return count;
      })()`;
      return page.evaluate<number>(script);
    }

    for (const colorScheme of ['light', 'dark'] as const) {
      it(`draws every curve in the colours of the ${colorScheme} scheme`, async () => {
        const page = await opened({ colorScheme });
        assert.equal(await page.locator('.chart canvas').count(), 6);
        for (const chart of ['accuracy', 'win-rate', 'perplexity', 'bytes']) {
          assert.ok((await painted(page, chart, '--series-0')) > 200, `${chart} shows no curve`);
        }
        for (const index of [0, 1, 2, 3]) {
          assert.ok((await painted(page, 'tastes', `--series-${index}`)) > 200, `taste ${index} shows no curve`);
          assert.ok((await painted(page, 'loss', `--series-${index}`)) > 100, `participant ${index} shows no curve`);
        }
      });
    }

    it('redraws in the other colours when the scheme changes', async () => {
      const page = await opened({ colorScheme: 'light' });
      await page.emulateMedia({ colorScheme: 'dark' });
      await page.waitForFunction("matchMedia('(prefers-color-scheme: dark)').matches");
      assert.ok((await painted(page, 'accuracy', '--series-0')) > 200);
    });

    it('shows the latest figures with their interval, and those under the pointer', async () => {
      const page = await opened();
      const legend = page.locator('#chart-accuracy .u-legend');
      const last = sampleReport(6).rounds[5]?.figures.accuracy;
      assert.ok(last);
      const shown = (share: number) => `${(share * 100).toFixed(1)} %`;
      const text = await legend.innerText();
      assert.ok(text.includes(`${shown(last.value)} (${shown(last.low)} to ${shown(last.high)})`), text);
      const box = await page.locator('#chart-accuracy .u-over').boundingBox();
      assert.ok(box);
      await page.mouse.move(box.x + 2, box.y + box.height / 2);
      await page.waitForFunction(`document.querySelector('#chart-accuracy .u-legend').innerText.includes('50.0 %')`);
    });

    it('fits a narrow window without scrolling sideways', async () => {
      const page = await opened({ width: 380 });
      const overflow = await page.evaluate<number>(
        'document.documentElement.scrollWidth - document.documentElement.clientWidth',
      );
      assert.equal(overflow, 0);
    });
  });
});
