/**
 * `prefmesh verify`: recomputes a round, a whole federation, or the origin of an adapter, from signed inputs.
 */
import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { Command } from 'commander';
import { PrefmeshError } from '../../protocol/errors.ts';
import type { OpenedReceipt } from '../../protocol/receipt.ts';
import { auditPaths } from '../audit/auditFolder.ts';
import { verifyAdapter } from '../audit/verifyAdapter.ts';
import { verifyAudit, type VerificationReport } from '../audit/verifyAudit.ts';
import { ADAPTER_CONFIG } from '../training/peftConfig.ts';
import { addCommonOptions, addExample, type CommonOptions } from './options.ts';
import { Output } from './output.ts';
import { commandSignal } from './signal.ts';

interface VerifyOptions extends CommonOptions {
  readonly blobs?: string;
  readonly audit?: string;
  readonly acknowledgements?: string;
  readonly revocations?: string;
}

export function verifyCommand(): Command {
  const command = new Command('verify')
    .description(
      'Check a federation from signed inputs, believing nobody: every signature, every hash, every aggregate.',
    )
    .argument('<target>', 'an audit folder, a receipt in one, or an adapter')
    .option('--blobs <folder>', 'where the blobs lie, if not in the audit folder')
    .option('--audit <folder>', 'for an adapter: the audit folder of the federation it is said to come from')
    .option(
      '--acknowledgements <path>',
      'a proof that an update was acknowledged, or a folder of them: whether the receipts have the update',
    )
    .option('--revocations <file>', "the owner's newest list of revocations, which the rounds must have heeded")
    .action((target: string, options: VerifyOptions) => verify(target, options));
  addCommonOptions(command);
  return addExample(
    command,
    'prefmesh aggregator export --federation our-notes.federation --out audit',
    'prefmesh verify audit',
    'prefmesh verify audit/receipts/000003',
    'prefmesh verify my-adapter --audit audit',
    'prefmesh verify audit --acknowledgements my-acknowledgements',
  );
}

/** `prefmesh adapter verify`: the same for an adapter, under the command where one looks for it. */
export function adapterVerifyCommand(): Command {
  const command = new Command('verify')
    .description('Check that an adapter is, number for number, what a round of a federation published.')
    .argument('<folder>', 'PEFT folder')
    .requiredOption('--audit <folder>', 'the audit folder of the federation it is said to come from')
    .option('--blobs <folder>', 'where the blobs lie, if not in the audit folder')
    .action((folder: string, options: VerifyOptions) => {
      if (existsSync(join(folder, ADAPTER_CONFIG))) return verify(folder, options);
      throw new PrefmeshError('ADAPTER_INVALID', {
        file: join(folder, ADAPTER_CONFIG),
        part: '(file)',
        problem: 'is missing',
      });
    });
  return addExample(addCommonOptions(command), 'prefmesh adapter verify my-adapter --audit audit');
}

async function verify(target: string, options: VerifyOptions): Promise<void> {
  const output = new Output(options);
  const report = await checkTarget(resolve(target), options, output);
  const { ok, checked, first_failure: failure } = report;
  output.json(report);
  output.human(
    `checked ${checked.signatures} signatures, ${checked.hashes} hashes, ${checked.aggregates} aggregates and ` +
      `${checked.log} links of the log`,
  );
  for (const each of report.acknowledgements ?? []) {
    output.human(`${each.file}: ${each.outcome}${each.code === null ? '' : ` (${each.code})`}`);
  }
  if (ok) return output.human('all as it should be');
  const where = failure!.round === null ? target : `${target}, round ${failure!.round}`;
  throw new PrefmeshError('VERIFICATION_FAILED', { where, code: failure!.code, problem: failure!.detail });
}

async function checkTarget(target: string, options: VerifyOptions, output: Output): Promise<VerificationReport> {
  const signal = commandSignal();
  const onRound = ({ content, hash }: OpenedReceipt): void => {
    output.human(`round ${content.round} ${content.outcome}, receipt ${hash}: right`);
  };
  const { blobs, acknowledgements, revocations } = options;
  const common = { blobs, acknowledgements, revocations, signal, onRound };
  if (existsSync(join(target, ADAPTER_CONFIG))) {
    if (options.audit === undefined) {
      throw new PrefmeshError('USAGE', {
        problem: 'an adapter alone does not say where it comes from',
        hint: 'name the audit folder of its federation with --audit',
      });
    }
    const report = await verifyAdapter(target, options.audit, common);
    if (report.round !== null) output.human(`the adapter is that of round ${report.round}`);
    return report;
  }
  if (existsSync(auditPaths(target).federation)) return verifyAudit(target, common);
  const folder = dirname(dirname(target));
  if (existsSync(target) && /^[0-9]+$/.test(basename(target)) && existsSync(auditPaths(folder).federation)) {
    return verifyAudit(folder, { ...common, round: Number(basename(target)) });
  }
  throw new PrefmeshError('NOTHING_TO_VERIFY', { target });
}
