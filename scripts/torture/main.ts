/**
 * Longer trials of what `npm test` tries shortly:
 *
 *   npm run torture -- kills [N] [--seed S]     kill -9 of real processes at N random moments; 1,000 by default
 */
import { parseArgs } from 'node:util';
import { integerValue } from '../../node/commands/values.ts';
import { describeMachine } from '../bench/machine.ts';
import { killAtRandom } from './kills.ts';

const { positionals, values: options } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string' } },
});
const [trial, number] = positionals;
const say = (text: string) => process.stdout.write(`${text}\n`);
const machine = describeMachine();

switch (trial) {
  case 'kills': {
    const kills = integerValue({ min: 1 })(number ?? '1000');
    const seed = options.seed === undefined ? Date.now() % 1_000_000 : integerValue({ min: 0 })(options.seed);
    say(`${machine.processor}, ${machine.cores} cores, ${machine.memoryGiB} GiB; ${kills} kills, --seed ${seed}`);
    const started = performance.now();
    const report = await killAtRandom({
      kills,
      seed,
      onKill: ({ number: nth, process: name, moment }) => say(`${nth}/${kills}  ${name}  ${moment}`),
    });
    const minutes = ((performance.now() - started) / 60_000).toFixed(1);
    const recoveries = report.recoveries.toSorted((a, b) => a - b);
    const seconds = (share: number) =>
      ((recoveries.at(Math.floor(share * (recoveries.length - 1))) ?? 0) / 1000).toFixed(2);
    const each = Object.entries(report.byProcess).map(([name, count]) => `${name} ${count}`);
    say(`${report.kills} kills (${each.join(', ')}) in ${minutes} min`);
    say(`${report.roundsClosed} rounds of ${report.federations} federations closed with the undisturbed adapters`);
    say('nothing acknowledged was lost; no participant had two updates in a round');
    say(
      `recovery of a killed aggregator: median ${seconds(0.5)} s, longest ${seconds(1)} s (${recoveries.length} starts)`,
    );
    break;
  }
  default:
    process.stderr.write('error USAGE: name a trial\nfix: npm run torture -- kills [N] [--seed S]\n');
    process.exitCode = 2;
}
