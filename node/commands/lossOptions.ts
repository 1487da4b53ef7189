/**
 * The options that say what training minimises, and how they become the terms of a loss.
 */
import { type Command, Option } from 'commander';
import { PrefmeshError } from '../../protocol/errors.ts';
import { LOSS_NAMES, lossNamed, SMOOTHED_LOSSES, type LossName, type LossTerms } from '../training/preferenceLoss.ts';
import { numberValue } from './values.ts';

export interface LossOptions {
  readonly loss: LossName;
  readonly beta?: number;
  readonly labelSmoothing?: number;
  readonly sftWeight?: number;
}

/** ε where a loss knows it and none is given. */
const DEFAULT_SMOOTHING = 0.1;

const positive = numberValue({ min: 0, aboveMin: true });

export function addLossOptions(command: Command): Command {
  const defaults = LOSS_NAMES.filter((name) => lossNamed(name).beta !== lossNamed('sigmoid').beta)
    .map((name) => `, for ${name} ${lossNamed(name).beta}`)
    .join('');
  const smoothed = SMOOTHED_LOSSES.join(' and ');
  return command
    .addOption(new Option('--loss <name>', 'preference loss').choices(LOSS_NAMES).default('sigmoid'))
    .addOption(
      new Option(
        '--beta <number>',
        `how strongly the reference holds (default: ${lossNamed('sigmoid').beta}${defaults})`,
      ).argParser(positive),
    )
    .addOption(
      new Option(
        '--label-smoothing <share>',
        `share of the labels taken to be wrong, for ${smoothed} only (default: ${DEFAULT_SMOOTHING})`,
      ).argParser(numberValue({ min: 0, max: 0.49 })),
    )
    .option(
      '--sft-weight <number>',
      "add this times the mean negative log-likelihood of the chosen answers' tokens",
      positive,
    );
}

/**
 * What was asked, with what was left out filled in.
 *
 * @throws USAGE for a setting that the loss would ignore
 */
export function lossTerms({ loss, beta, labelSmoothing, sftWeight }: LossOptions): LossTerms {
  const smoothed = SMOOTHED_LOSSES.includes(loss);
  if (labelSmoothing !== undefined && !smoothed) {
    throw new PrefmeshError('USAGE', {
      problem: `--label-smoothing means nothing to --loss ${loss}`,
      hint: 'pass --loss cdpo or --loss robust with it, or leave it out',
    });
  }
  return {
    loss,
    beta: beta ?? lossNamed(loss).beta,
    ...(smoothed && { labelSmoothing: labelSmoothing ?? DEFAULT_SMOOTHING }),
    ...(sftWeight !== undefined && { sftWeight }),
  };
}
