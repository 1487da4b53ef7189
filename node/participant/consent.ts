/**
 * What a person agrees to by joining a federation: what leaves the machine, how much of it, and on what terms. Made
 * from the manifest and the base model's configuration alone, so that it can be read before anything is sent.
 */
import type { Manifest, OpenedManifest } from '../../protocol/manifest.ts';
import { ruleByName } from '../../protocol/aggregation/rules.ts';
import type { Sha256 } from '../../protocol/names.ts';
import { serverOptimizerByName } from '../../protocol/serverOptimizer/serverOptimizers.ts';
import { blobBytes } from '../../protocol/tensorBlob.ts';
import { factorTable } from '../../protocol/update.ts';
import type { ModelConfig } from '../model/config.ts';
import { adapterVectorTable } from '../training/adapterVector.ts';
import { lossText } from '../training/preferenceLoss.ts';

export interface ConsentTerms {
  /** What the consent names. */
  readonly federation: Sha256;
  readonly name: string;
  readonly owner: string;
  readonly aggregators: readonly string[];
  readonly admission: Manifest['admission']['mode'];
  /** Who may invite besides the owner, and how many members one of them may bring in; null where nobody is invited. */
  readonly invites: { readonly inviters: 'aggregators' | 'members'; readonly guestsPerInviter: number } | null;
  /** Sentences of the manifest: what leaves the machine, and which protections are on. */
  readonly sends: readonly string[];
  readonly protections: readonly string[];
  /** The largest update of a round; null without the base model's configuration. */
  readonly update: { readonly tensors: number; readonly bytes: number } | null;
  readonly rounds: number;
  /** The most bytes of updates that leave over all rounds; null without the base model's configuration. */
  readonly totalBytes: number | null;
  readonly minimumPairs: number;
  /** Optimiser steps a round, and pairs a step. */
  readonly stepsPerRound: number;
  readonly batchSize: number;
  readonly base: string;
  /** What training minimises, with its settings. */
  readonly loss: string;
  readonly rule: string;
}

/** Terms to show to whoever is asked for consent. */
export function consentTerms({ hash, content }: OpenedManifest, config: ModelConfig | null): ConsentTerms {
  const sizes = config && updateSizes(content, config);
  return {
    federation: hash,
    name: content.name,
    owner: content.owner,
    aggregators: content.aggregators.map(({ id }) => id),
    admission: content.admission.mode,
    invites: invitesOf(content.admission),
    sends: content.privacy.sends,
    protections: content.privacy.protections,
    update: sizes && { tensors: sizes.tensors, bytes: sizes.bytes },
    rounds: content.rounds,
    totalBytes: sizes && sizes.total,
    minimumPairs: content.privacy.minimumPairs,
    stepsPerRound: content.training.steps,
    batchSize: content.training.batchSize,
    loss: lossText(content.training),
    base: `${content.base.name} (${content.base.hash})`,
    rule: `${content.aggregation.rule}: ${ruleByName(content.aggregation.rule).label}${optimizerText(content)}`,
  };
}

/** The same for people, a line each. */
export function consentText(terms: ConsentTerms): string {
  const { update, totalBytes } = terms;
  return [
    `Federation   ${terms.name}`,
    `  id         ${terms.federation}`,
    `  owner      ${terms.owner}`,
    `  run by     ${terms.aggregators.join(', ')}`,
    `  who joins  ${admissionText(terms)}`,
    `  trains     ${terms.base}`,
    `  loss       ${terms.loss}`,
    `  rule       ${terms.rule}`,
    `  rounds     ${terms.rounds}, each ${terms.stepsPerRound} steps of ${terms.batchSize} pairs`,
    '',
    'What leaves this machine',
    ...terms.sends.map((sentence) => `  - ${sentence}`),
    ...(update === null
      ? []
      : [`  at most ${update.tensors} tensors, ${bytesText(update.bytes)} a round; ${bytesText(totalBytes!)} in all`]),
    'What stays here',
    '  - the pairs, prompts and answers themselves',
    'Protections',
    ...(terms.protections.length === 0
      ? ['  - none beyond keeping the pairs at home: adapter updates can leak training text']
      : terms.protections.map((sentence) => `  - ${sentence}`)),
    `At least ${terms.minimumPairs} pairs are needed to take part.`,
  ].join('\n');
}

/** Bytes as people read them: `1.5 MiB`. */
export function bytesText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 ** 2) return `${(bytes / 1024).toFixed(1)} KiB`;
  if (bytes < 1024 ** 3) return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}

function optimizerText({ serverOptimizer }: Manifest): string {
  return serverOptimizer === null ? '' : `; then ${serverOptimizerByName(serverOptimizer.name).label}`;
}

function invitesOf(admission: Manifest['admission']): ConsentTerms['invites'] {
  if (admission.mode !== 'invite') return null;
  const { inviters, guestsPerInviter } = admission;
  return { inviters, guestsPerInviter };
}

function admissionText({ admission, invites }: ConsentTerms): string {
  switch (admission) {
    case 'allow-list':
      return 'only those on the list of the manifest';
    case 'invite':
      return (
        `who holds an invite of the owner, an aggregator${invites?.inviters === 'members' ? ' or a member' : ''}; ` +
        `one of them, but the owner, brings in at most ${invites?.guestsPerInviter}`
      );
    case 'open':
      return 'anyone: for demonstrations only';
  }
}

function updateSizes({ adapter, aggregation, rounds }: Manifest, config: ModelConfig) {
  const table = adapterVectorTable(config, adapter).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  let [tensors, bytes, total] = [0, 0, 0];
  for (let round = 1; round <= rounds; round++) {
    const sent = factorTable(table, ruleByName(aggregation.rule).factorOf(round));
    const size = blobBytes(sent);
    total += size;
    if (size > bytes) [tensors, bytes] = [sent.length, size];
  }
  return { tensors, bytes, total };
}
