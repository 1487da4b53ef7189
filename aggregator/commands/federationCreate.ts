/**
 * `prefmesh federation create`: signs the terms of a new federation.
 */
import { Command, Option } from 'commander';
import { durationValue } from '../../node/commands/duration.ts';
import { addCommonOptions, addExample, type CommonOptions } from '../../node/commands/options.ts';
import { Output } from '../../node/commands/output.ts';
import {
  addTrainingOptions,
  DEFAULT_RANK,
  DEFAULT_TARGETS,
  sharedTerms,
  type TrainingDefaults,
  type TrainingOptions,
} from '../../node/commands/trainingOptions.ts';
import { integerValue, numberValue, repeatedValue } from '../../node/commands/values.ts';
import { openCheckpoint } from '../../node/model/checkpoint.ts';
import { consentTerms, consentText } from '../../node/participant/consent.ts';
import { writeFederationFile } from '../../node/participant/federationFile.ts';
import { TARGET_MODULES } from '../../node/training/adapterVector.ts';
import { fewestUpdates, RULE_NAMES, type RuleName } from '../../protocol/aggregation/rules.ts';
import { PrefmeshError } from '../../protocol/errors.ts';
import { type Identity, parseParticipantId } from '../../protocol/identity.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { checkServerOptimizer, SERVER_OPTIMIZER_NAMES } from '../../protocol/serverOptimizer/serverOptimizers.ts';
import type { ServerOptimizerName } from '../../protocol/serverOptimizer/serverOptimizers.ts';
import { createFederation } from '../createFederation.ts';
import { ownKey } from './ownKey.ts';

interface CreateOptions extends CommonOptions, TrainingOptions {
  readonly name: string;
  readonly model: string;
  readonly evaluationPairs: string;
  readonly rootPairs: string;
  readonly out: string;
  readonly stepsPerRound: number;
  readonly rule: RuleName;
  readonly serverOptimizer?: ServerOptimizerName;
  readonly serverLr?: number;
  readonly serverMomentum?: number;
  readonly serverSecondMomentum?: number;
  readonly serverAdaptivity?: number;
  readonly rounds: number;
  readonly quorum: number;
  readonly maxParticipants: number;
  readonly joinWait: number;
  readonly deadline: number;
  readonly maxLossPoints: number;
  readonly minimumPairs: number;
  readonly admission: Manifest['admission']['mode'];
  readonly participant?: string[];
  readonly inviters: 'aggregators' | 'members';
  readonly guestsPerInviter: number;
  readonly aggregator?: string[];
  readonly address?: string[];
  readonly witness?: string[];
  readonly cosignatures?: number;
  readonly fixedPointBits?: number;
  readonly normBound?: number;
}

const DEFAULTS: TrainingDefaults = {
  alpha: 'twice the rank',
  over: 'the steps of a round',
  schedule: 'constant',
  warmup: 0,
  shortest: 8,
};

const count = integerValue({ min: 1 });
const positive = numberValue({ min: 0, aboveMin: true });

export function createCommand(): Command {
  const command = new Command('create')
    .description('Sign the terms of a new federation with the key of this data folder.')
    .requiredOption('--name <text>', 'what people call it')
    .requiredOption('--model <model>', 'the base model: a folder, embedded, or the id of a pulled model')
    .requiredOption('--evaluation-pairs <file>', 'JSONL of the evaluation set, whose figures are reported')
    .requiredOption('--root-pairs <file>', 'JSONL of the root set, whose figures gate a round; no shared prompts')
    .requiredOption('--out <file>', 'where the federation file goes');
  addTrainingOptions(command, DEFAULTS)
    .option('--steps-per-round <n>', 'optimiser steps a round', count, 20)
    .addOption(new Option('--rule <name>', 'how updates are aggregated').choices(RULE_NAMES).default('robust'))
    .addOption(
      new Option('--server-optimizer <name>', 'what is made of the aggregate before it is applied').choices(
        SERVER_OPTIMIZER_NAMES,
      ),
    )
    .option('--server-lr <number>', 'its learning rate (default: fedavgm 1, fedadam 0.01, diloco 0.7)', positive)
    .option('--server-momentum <number>', 'its momentum over rounds (default: 0.9)', numberValue({ min: 0 }))
    .option(
      '--server-second-momentum <number>',
      'for fedadam: that of the squares (default: 0.99)',
      numberValue({ min: 0 }),
    )
    .option('--server-adaptivity <number>', 'for fedadam: τ, which bounds its steps (default: 0.001)', positive)
    .option('--rounds <n>', 'how many rounds', count, 20)
    .option('--quorum <n>', 'fewest updates that close a round', count, 3)
    .option('--max-participants <n>', 'most members', count, 64)
    .option('--join-wait <duration>', 'wait for more members once there is a quorum', durationValue(), 10_000)
    .option('--deadline <duration>', 'longest that a round takes updates', durationValue(), 3_600_000)
    .option(
      '--max-loss-points <number>',
      'most accuracy on the root set that a round may lose',
      numberValue({ min: 0, max: 100 }),
      2,
    )
    .option('--minimum-pairs <n>', 'fewest pairs to take part with', count, 64)
    .addOption(
      new Option('--admission <mode>', 'who may join').choices(['invite', 'allow-list', 'open']).default('invite'),
    )
    .addOption(
      new Option('--inviters <who>', 'for invite: who may invite besides the owner')
        .choices(['aggregators', 'members'])
        .default('aggregators'),
    )
    .option(
      '--guests-per-inviter <n>',
      'for invite: most members that one of them may bring in, guests of guests too',
      count,
      5,
    )
    .option('--participant <id>', 'for allow-list: who may join; may be repeated', repeatedValue())
    .option(
      '--aggregator <id[=multiaddr]>',
      'who runs the rounds, in the order in which they take over, and where it listens; may be repeated (default: the key of this folder)',
      repeatedValue(),
    )
    .option('--witness <id>', 'a member that repeats every round and cosigns the log; may be repeated', repeatedValue())
    .option(
      '--cosignatures <n>',
      'how many witnesses a participant waits for before it adopts a round (default: more than half of them)',
      integerValue({ min: 0, max: LIMITS.witnesses.value }),
    )
    .option('--address <multiaddr>', 'where the first aggregator listens; may be repeated', repeatedValue())
    .option(
      '--fixed-point-bits <n>',
      'scale of updates (default: the finest that fits)',
      integerValue({ min: 8, max: 28 }),
    )
    .option('--norm-bound <number>', 'longest update (default: what the steps can reach)', positive)
    .action((options: CreateOptions) => create(options));
  addCommonOptions(command);
  return addExample(
    command,
    'prefmesh federation create --name "Our notes" --model embedded --evaluation-pairs eval.jsonl --root-pairs root.jsonl \\',
    '  --rounds 20 --quorum 3 --out our-notes.federation',
  );
}

async function create(options: CreateOptions): Promise<void> {
  const output = new Output(options);
  checkQuorum(options);
  const { home, rank = DEFAULT_RANK, targets = DEFAULT_TARGETS } = options;
  const owner = await ownKey(home);
  const base = await openCheckpoint(options.model, { home });
  const terms = sharedTerms(options, base.config);
  const federation = await createFederation(
    owner,
    {
      name: options.name,
      base,
      evaluationPairs: options.evaluationPairs,
      rootPairs: options.rootPairs,
      adapter: {
        rank,
        alpha: options.alpha ?? 2 * rank,
        targets: TARGET_MODULES.filter((target) => targets.includes(target)),
        seed: options.seed,
      },
      training: {
        ...terms,
        labelSmoothing: terms.labelSmoothing ?? null,
        sftWeight: terms.sftWeight ?? null,
        steps: options.stepsPerRound,
        maxLength: Math.min(options.maxLength, base.config.maxPositions),
      },
      aggregation: { rule: options.rule, parameters: {} },
      serverOptimizer: serverOptimizerOf(options),
      rounds: options.rounds,
      quorum: options.quorum,
      maxParticipants: options.maxParticipants,
      deadlines: { join: options.joinWait, round: options.deadline },
      admission: admissionOf(options),
      aggregators: aggregatorsOf(options, owner),
      witnesses: witnessesOf(options),
      maxLossPoints: options.maxLossPoints,
      minimumPairs: options.minimumPairs,
      ...(options.fixedPointBits !== undefined && { fixedPointBits: options.fixedPointBits }),
      ...(options.normBound !== undefined && { normBound: options.normBound }),
    },
    Date.now(),
  );
  await writeFederationFile(options.out, federation);
  output.json({ federation: federation.hash, file: options.out, owner: owner.id, manifest: federation.content });
  output.human(consentText(consentTerms(federation, base.config)));
  output.human(`\nwritten to ${options.out}; next: prefmesh aggregator start --federation ${options.out} …`);
}

/** A quorum that the rule can combine, and that there can be. */
function checkQuorum({ quorum, rule, maxParticipants }: CreateOptions): void {
  const fewest = fewestUpdates(rule, {});
  if (quorum < fewest) {
    const others = RULE_NAMES.filter((name) => fewestUpdates(name, {}) <= quorum);
    throw new PrefmeshError('USAGE', {
      problem: `a quorum of ${quorum} is too small for the rule ${rule}, which needs ${fewest} updates`,
      hint: `pass --quorum ${fewest} or more, or one of these with --rule: ${others.join(', ')}`,
    });
  }
  if (quorum > maxParticipants) {
    throw new PrefmeshError('USAGE', {
      problem: `a quorum of ${quorum} cannot be had of at most ${maxParticipants} participants`,
      hint: 'lower --quorum, or raise --max-participants',
    });
  }
}

function admissionOf({
  admission,
  participant = [],
  inviters,
  guestsPerInviter,
}: CreateOptions): Manifest['admission'] {
  if (admission === 'open') return { mode: admission };
  if (admission === 'invite') return { mode: admission, inviters, guestsPerInviter };
  if (participant.length === 0) {
    throw new PrefmeshError('USAGE', {
      problem: 'an allow-list without participants lets nobody in',
      hint: 'name each with --participant ID',
    });
  }
  return { mode: admission, participants: [...new Set(participant.map(parseParticipantId))].sort() };
}

/** The choice and its parameters, or null; an option that does not belong to it is the user's mistake. */
function serverOptimizerOf(options: CreateOptions): Manifest['serverOptimizer'] {
  const given = {
    learningRate: options.serverLr,
    momentum: options.serverMomentum,
    secondMomentum: options.serverSecondMomentum,
    adaptivity: options.serverAdaptivity,
  };
  const parameters = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Record<
    string,
    number
  >;
  const { serverOptimizer: name, rule } = options;
  if (name === undefined && Object.keys(parameters).length === 0) return null;
  const problem =
    name === undefined ? 'no server optimiser is named' : checkServerOptimizer({ name, parameters }, rule);
  if (problem === undefined) return { name: name!, parameters };
  throw new PrefmeshError('USAGE', { problem, hint: 'see prefmesh federation create --help' });
}

function witnessesOf({ witness = [], cosignatures }: CreateOptions): Manifest['witnesses'] {
  const participants = [...new Set(witness.map(parseParticipantId))].sort();
  const required = cosignatures ?? (participants.length === 0 ? 0 : Math.floor(participants.length / 2) + 1);
  if (required > participants.length) {
    throw new PrefmeshError('USAGE', {
      problem: `${required} cosignatures, and ${participants.length} witnesses`,
      hint: 'name each witness with --witness ID, or ask for fewer with --cosignatures',
    });
  }
  return { participants, required };
}

function aggregatorsOf({ aggregator, address = [] }: CreateOptions, owner: Identity): Manifest['aggregators'] {
  const named = (aggregator ?? [owner.id]).map((text) => {
    const [id = '', ...rest] = text.split('=');
    return { id: parseParticipantId(id), addresses: rest.length === 0 ? [] : [rest.join('=')] };
  });
  return named.map(({ id, addresses }, index) => ({
    id,
    addresses: index === 0 ? [...addresses, ...address] : addresses,
  }));
}
