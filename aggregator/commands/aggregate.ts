/**
 * `prefmesh aggregate`: combines PEFT adapters on disk exactly as a round would.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { addCommonOptions, addExample, type CommonOptions } from '../../node/commands/options.ts';
import { Output } from '../../node/commands/output.ts';
import { integerValue, repeatedValue } from '../../node/commands/values.ts';
import { ADAPTER_WEIGHTS, writePeftAdapter } from '../../node/training/peft.ts';
import { BYZANTINE_SHARE } from '../../protocol/aggregation/byzantine.ts';
import { checkRuleParameters, RULE_NAMES, ruleByName, type RuleName } from '../../protocol/aggregation/rules.ts';
import { KEPT_RANK } from '../../protocol/aggregation/svd.ts';
import { PrefmeshError } from '../../protocol/errors.ts';
import type { Factor } from '../../protocol/messages.ts';
import { aggregateFolders } from '../offline/aggregateFolders.ts';
import { wholeWeights } from '../offline/weightedMean.ts';

interface AggregateOptions extends CommonOptions {
  readonly rule: RuleName;
  readonly adapter: string[];
  readonly baseAdapter?: string;
  readonly factor?: 'A' | 'B';
  readonly weights?: number[];
  readonly byzantine?: number;
  readonly rank?: number;
  readonly fixedPointScale: number;
  readonly out: string;
}

const DEFAULT_BITS = 24;
const MOST_BITS = 28;

const countValue = integerValue({ min: 0 });
const rankValue = integerValue({ min: 1, max: KEPT_RANK.max });

export function aggregateCommand(): Command {
  const rules = RULE_NAMES.map((name) => `  ${name.padEnd(17)} ${ruleByName(name).label}`).join('\n');
  const command = new Command('aggregate')
    .description(`Combine PEFT adapters exactly as a round would. Rules:\n${rules}`)
    .addOption(new Option('--rule <name>', 'how').choices(RULE_NAMES).makeOptionMandatory())
    .requiredOption('--adapter <folder>', 'an adapter; repeat for each', repeatedValue())
    .option('--base-adapter <folder>', 'combine the differences from this adapter')
    .addOption(
      new Option(
        '--factor <name>',
        'the factor that was trained, the other being the same in all; alternating needs it, other rules take both apart without it',
      ).choices(['A', 'B']),
    )
    .option('--byzantine <n>', 'how many adapters a rule that can is to hold against (default: a fifth)', countValue)
    .option('--rank <n>', 'for svd: rank of the result (default: the largest of the adapters)', rankValue)
    .option(
      '--weights <numbers>',
      'for means: how much each counts, in their order (default: all the same)',
      weightsValue,
    )
    .option('--fixed-point-scale <n>', 'values per 1: a power of two, or its exponent', scaleValue, DEFAULT_BITS)
    .requiredOption('--out <folder>', 'where the adapter goes')
    .action((options: AggregateOptions) => aggregate(options));
  addCommonOptions(command);
  return addExample(
    command,
    'prefmesh aggregate --rule alternating --factor B --adapter a --adapter b --adapter c --out mean',
  );
}

async function aggregate(options: AggregateOptions): Promise<void> {
  const output = new Output(options);
  const { rule, adapter: adapters, weights, out } = options;
  if (weights !== undefined && weights.length !== adapters.length) {
    throw new PrefmeshError('USAGE', {
      problem: `${weights.length} weights for ${adapters.length} adapters`,
      hint: 'give one weight for each --adapter, in their order',
    });
  }
  const { inputs, adapter, hash, truncatedEnergy } = await aggregateFolders({
    rule,
    adapters,
    base: options.baseAdapter,
    factor: factorFor(options),
    parameters: parametersFor(options),
    rank: options.rank,
    weights: weights && weightsFor(rule, weights),
    bits: options.fixedPointScale,
  });
  const card = { Rule: rule, Adapters: inputs.filter(({ accepted }) => accepted).length };
  await writePeftAdapter(out, adapter, { baseModel: adapter.baseHash ?? 'not recorded', card });
  const sha256 = createHash('sha256')
    .update(await readFile(join(out, ADAPTER_WEIGHTS)))
    .digest('hex');
  output.json({
    rule,
    inputs,
    output: out,
    sha256,
    blob_sha256: hash,
    ...(truncatedEnergy === undefined ? {} : { truncated_energy: truncatedEnergy }),
  });
  const rows = inputs.map(({ adapter: folder, reason, norm }) => {
    return [folder, reason ?? 'accepted', norm === null ? '-' : norm.toPrecision(6)];
  });
  if (!options.json) output.table([['adapter', 'verdict', 'norm'], ...rows]);
  output.human(`${ruleByName(rule).label}: written to ${out}, blob ${hash}`);
}

/**
 * The factor a round of the rule would combine. Rules that take turns combine the one that was named; without one, all
 * but alternating, whose point it is, combine both factors apart.
 */
function factorFor({ rule, factor }: AggregateOptions): Factor {
  const takesTurns = ruleByName(rule).factorOf(1) !== 'both';
  if (takesTurns && factor === undefined && rule === 'alternating') {
    throw new PrefmeshError('USAGE', {
      problem: `rule ${rule} combines one factor, and none is named`,
      hint: 'say which was trained with --factor A or --factor B',
    });
  }
  if (takesTurns || factor === undefined) return factor ?? 'both';
  throw new PrefmeshError('USAGE', { problem: `rule ${rule} combines both factors`, hint: 'leave --factor out' });
}

function parametersFor({ rule, byzantine, rank, adapter }: AggregateOptions): Record<string, number> {
  const parameters: Record<string, number> = {};
  if (byzantine !== undefined) parameters[BYZANTINE_SHARE.name] = byzantine / adapter.length;
  if (rank !== undefined) parameters[KEPT_RANK.name] = rank;
  const problem = checkRuleParameters(rule, parameters);
  if (problem === undefined) return parameters;
  throw new PrefmeshError('USAGE', {
    problem: byzantine === undefined ? problem : `${problem}: --byzantine ${byzantine} of ${adapter.length} adapters`,
    hint: 'leave the option out, or choose a rule and a number that fit',
  });
}

/** Weights of the means; the other rules give each adapter one vote. */
function weightsFor(rule: RuleName, weights: readonly number[]): number[] {
  if (rule === 'alternating' || rule === 'mean') return wholeWeights(weights);
  throw new PrefmeshError('USAGE', {
    problem: `rule ${rule} takes no weights`,
    hint: 'leave --weights out, or use the rule alternating or mean',
  });
}

function weightsValue(text: string): number[] {
  const weights = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (!weights.every((weight) => Number.isFinite(weight) && weight > 0)) {
    throw new InvalidArgumentError('It must be positive numbers separated by commas.');
  }
  return weights;
}

/** `24` and `16777216` mean the same. */
function scaleValue(text: string): number {
  const value = Number(text);
  const bits = value > MOST_BITS ? Math.log2(value) : value;
  if (!Number.isInteger(bits) || bits < 8 || bits > MOST_BITS) {
    throw new InvalidArgumentError(`It must be a power of two from 2^8 to 2^${MOST_BITS}, or its exponent.`);
  }
  return bits;
}
