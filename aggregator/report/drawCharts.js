// Runs in the report page, after uPlot: draws the charts described in the page's data block, in the colours of the
// page's light or dark style, and again when the window's width or the colour scheme changes.
/* global uPlot, document, matchMedia, getComputedStyle, ResizeObserver */
{
  const charts = JSON.parse(document.getElementById('charts').textContent);
  const HEIGHT = 240;

  const formats = {
    percent: (value) => `${(value * 100).toFixed(1)} %`,
    number: (value) => (Math.abs(value) >= 100 ? value.toFixed(1) : value.toFixed(3)),
    bytes: (value) => {
      const units = ['B', 'KiB', 'MiB', 'GiB'];
      const power = value > 0 ? Math.min(Math.floor(Math.log2(value) / 10), units.length - 1) : 0;
      return `${Number((value / 1024 ** power).toFixed(1))} ${units[power]}`;
    },
  };
  const ticks = {
    percent: (value) => `${Math.round(value * 100)} %`,
    number: (value) => String(Number(value.toPrecision(4))),
    bytes: formats.bytes,
  };

  const colourOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const seriesColour = (colour) => (colour === 'muted' ? colourOf('--muted') : colourOf(`--series-${colour % 8}`));

  /** Ticks of bytes fall on round numbers of their unit. */
  function steps({ format }) {
    if (format !== 'bytes') return {};
    const powers = [0, 1, 2, 3].flatMap((power) =>
      [1, 2, 5, 10, 20, 50, 100, 200, 500].map((step) => step * 1024 ** power),
    );
    return { incrs: powers };
  }

  function draw(chart, holder) {
    const format = formats[chart.format];
    const bars = chart.series.some(({ style }) => style === 'bars');
    const series = chart.series.map(({ name, colour, style }) => {
      const stroke = seriesColour(colour);
      return {
        label: name,
        stroke,
        width: 2,
        value: (_plot, value) => (value == null ? '–' : format(value)),
        spanGaps: true,
        points: { show: style === 'line' && chart.x.length <= 24, size: 6, fill: stroke },
        ...(style === 'dashed' ? { dash: [6, 5], width: 1.5 } : {}),
        ...(style === 'bars'
          ? { fill: stroke, width: 0, paths: uPlot.paths.bars({ size: [0.5, 56], radius: 0.08 }) }
          : {}),
      };
    });
    const data = [chart.x, ...chart.series.map(({ values }) => values)];
    const bands = [];
    if (chart.band !== undefined) {
      const { low, high } = chart.band;
      series[0].value = (_plot, value, _series, index) =>
        value == null ? '–' : `${format(value)} (${format(low[index])} to ${format(high[index])})`;
      const edge = { class: 'band-edge', stroke: 'transparent', width: 0, points: { show: false } };
      series.push(edge, { ...edge });
      data.push(low, high);
      bands.push({ series: [series.length, series.length - 1], fill: `${seriesColour(0)}26` });
    }
    const axis = {
      stroke: colourOf('--muted'),
      grid: { stroke: colourOf('--grid'), width: 1 },
      ticks: { show: false },
    };
    const font = '12px system-ui, sans-serif';
    const last = chart.x.at(-1) ?? 1;
    const showLatest = (plot) => {
      if (plot.cursor.idx == null) plot.setLegend({ idx: chart.x.length - 1 });
    };
    return new uPlot(
      {
        width: holder.clientWidth,
        height: HEIGHT,
        series: [
          { label: 'round', value: (_plot, value) => (value == null ? '–' : Number(value.toFixed(2))) },
          ...series,
        ],
        bands,
        scales: {
          x: { time: false, range: bars ? [0.4, last + 0.6] : [Math.min(chart.x[0] ?? 0, 0), last] },
          // A bar shows its value by its length, so bars begin at zero.
          y: bars ? { range: (_plot, _low, high) => [0, high * 1.08 || 1] } : {},
        },
        axes: [
          { ...axis, font, grid: { show: false }, size: 34, incrs: [1, 2, 5, 10, 20, 50, 100], values: (_p, at) => at },
          {
            ...axis,
            font,
            size: chart.format === 'bytes' ? 76 : 58,
            values: (_p, at) => at.map(ticks[chart.format]),
            ...steps(chart),
          },
        ],
        cursor: { points: { size: 8 }, drag: { x: false, y: false } },
        legend: { live: true },
        hooks: { setCursor: [showLatest] },
      },
      data,
      holder,
    );
  }

  let plots = [];
  function drawAll() {
    for (const plot of plots) plot.destroy();
    plots = charts.map((chart) => draw(chart, document.getElementById(`chart-${chart.id}`)));
  }

  drawAll();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll);
  const widths = new ResizeObserver(() => {
    for (const plot of plots) plot.setSize({ width: plot.root.parentElement.clientWidth, height: HEIGHT });
  });
  widths.observe(document.querySelector('main'));
}
