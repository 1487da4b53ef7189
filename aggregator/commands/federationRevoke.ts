/**
 * `prefmesh federation revoke`: the owner sends keys away, and calls invites back.
 */
import { existsSync } from 'node:fs';
import { Command, Option } from 'commander';
import { commandLog } from '../../node/commands/log.ts';
import { addCommonOptions, addExample, type CommonOptions } from '../../node/commands/options.ts';
import { Output } from '../../node/commands/output.ts';
import { commandSignal } from '../../node/commands/signal.ts';
import { repeatedValue } from '../../node/commands/values.ts';
import { PRESET_NAMES, type PresetName } from '../../node/network/presets.ts';
import { readFederationFile } from '../../node/participant/federationFile.ts';
import { isTicketText, parseTicket } from '../../node/participant/ticket.ts';
import { dataPaths } from '../../node/storage/dataFolder.ts';
import { PrefmeshError } from '../../protocol/errors.ts';
import { type Identity, parseParticipantId, type ParticipantId } from '../../protocol/identity.ts';
import { openInvite, parseInviteText } from '../../protocol/invite.ts';
import type { OpenedManifest } from '../../protocol/manifest.ts';
import { guestsOf } from '../../protocol/membership.ts';
import { checkLater, openRevocations, signRevocations } from '../../protocol/revocations.ts';
import type { OpenedRevocations, Revocations } from '../../protocol/revocations.ts';
import { AggregatorsReach } from '../aggregatorsReach.ts';
import { keepRevocations, keptRevocations, revocationsFile } from '../keptRevocations.ts';
import { invitersOf, Ledger, ledgerFile } from '../ledger.ts';
import type { UsedInvite } from '../ledger.ts';
import { ownKey } from './ownKey.ts';

interface RevokeOptions extends CommonOptions {
  readonly participant: string[];
  readonly guestsOf: string[];
  readonly invite: string[];
  readonly address: string[];
  readonly network: PresetName;
}

export function revokeCommand(): Command {
  const command = new Command('revoke')
    .description('Send keys out of a federation, or call back invites that nobody has used; never taken back.')
    .argument('<federation>', 'a federation file')
    .option('--participant <id>', 'a key that is out from now on; may be repeated', repeatedValue(), [])
    .option(
      '--guests-of <id>',
      'everyone whom this key has brought in, and their guests; may be repeated',
      repeatedValue(),
      [],
    )
    .option('--invite <invite>', 'the serial, text or ticket of an unused invite; may be repeated', repeatedValue(), [])
    .option(
      '--address <multiaddr>',
      'where an aggregator listens, besides the manifest; may be repeated',
      repeatedValue(),
      [],
    )
    .addOption(new Option('--network <preset>', 'what network this is').choices(PRESET_NAMES).default('lan'))
    .action((file: string, options: RevokeOptions) => revoke(file, options));
  addCommonOptions(command);
  return addExample(
    command,
    'prefmesh federation revoke our-notes.federation --participant 12D3KooW… --guests-of 12D3KooW…',
  );
}

async function revoke(file: string, options: RevokeOptions): Promise<void> {
  const output = new Output(options);
  const federation = await readFederationFile(file);
  const owner = await ownKey(options.home);
  if (owner.id !== federation.content.owner)
    throw new PrefmeshError('WRONG_OWNER', { owner: federation.content.owner });
  const wanted = {
    participants: options.participant.map(parseParticipantId),
    inviters: options.guestsOf.map(parseParticipantId),
    invites: options.invite.map((each) => serialOf(each, federation)),
  };
  refuseThoseWhoRunIt(wanted.participants, federation);

  await using reach = await AggregatorsReach.open(federation, reachOptions(options, owner, federation));
  const known = newer(await keptRevocations(options.home, federation), await reach.newest());
  const guests = wanted.inviters.length === 0 ? [] : await pruned(wanted.inviters, reach, federation, options.home);
  const list = listWith(known, { ...wanted, participants: [...wanted.participants, ...guests] }, federation, owner);
  await keepRevocations(options.home, federation, list.bytes);
  const delivered = await reach.handIn(list.bytes);
  const unreachable = [...reach.problems.keys()];
  const kept = revocationsFile(options.home, federation);
  output.json({ ...list.content, list: list.hash, delivered, unreachable, file: kept });
  output.human(revocationsText(list));
  for (const id of delivered) output.human(`taken by aggregator ${id}`);
  for (const id of unreachable) output.human(`not taken by aggregator ${id}: ${reach.problems.get(id)}`);
  output.human(`kept in ${kept}`);
  if (delivered.length === 0) {
    const problem = [...reach.problems.values()].join('; ');
    throw new PrefmeshError('REVOCATION_UNDELIVERED', { version: list.content.version, problem, file: kept });
  }
}

/** A list of revocations in words. */
export function revocationsText({ content }: OpenedRevocations): string {
  const { version, issuedAt, participants, invites } = content;
  return [
    `Revoked, version ${version} of ${new Date(issuedAt).toLocaleString()}`,
    ...participants.map((id) => `  key ${id}`),
    ...invites.map((serial) => `  invite ${serial}`),
  ].join('\n');
}

/** The owner's key is shown where it may be; where an aggregator runs with it, nothing can be asked with it. */
function reachOptions(options: RevokeOptions, owner: Identity, { content }: OpenedManifest) {
  const runs = content.aggregators.some(({ id }) => id === owner.id);
  return {
    network: options.network,
    addresses: options.address,
    ...(!runs && { identity: owner }),
    log: commandLog(options),
    signal: commandSignal(),
  };
}

/** Revoking such a key would stop nothing: who runs a federation is in its manifest. */
function refuseThoseWhoRunIt(participants: readonly ParticipantId[], { content }: OpenedManifest): void {
  const running = [content.owner, ...content.aggregators.map(({ id }) => id)];
  const named = participants.find((id) => running.includes(id));
  if (named === undefined) return;
  throw new PrefmeshError('USAGE', {
    problem: `${named} owns or runs the federation, which only another manifest changes`,
    hint: 'make another federation without it; its guests are revoked with --guests-of',
  });
}

/** The serial of an invite that is given as such, as text, or within a ticket. */
function serialOf(text: string, federation: OpenedManifest): string {
  if (/^[0-9a-f]{32}$/.test(text)) return text;
  const envelope = isTicketText(text) ? parseTicket(text).invite : parseInviteText(text);
  if (envelope !== null) return openInvite(envelope, federation).content.serial;
  throw new PrefmeshError('USAGE', { problem: 'the ticket holds no invite', hint: 'pass one with --invite that does' });
}

function newer(kept: OpenedRevocations | null, found: OpenedRevocations | null): OpenedRevocations | null {
  const [older, later] = (kept?.content.version ?? 0) > (found?.content.version ?? 0) ? [found, kept] : [kept, found];
  if (later !== null) checkLater(older, later);
  return later;
}

/** Everyone whom the inviters have brought in, as the ledger of this folder and the aggregators know it. */
async function pruned(
  inviters: readonly ParticipantId[],
  reach: AggregatorsReach,
  federation: OpenedManifest,
  home: string,
): Promise<ParticipantId[]> {
  const used = [...ownLedger(home, federation), ...(await reach.guests())];
  const inviterOf = invitersOf(used);
  return guestsOf(inviters, [...inviterOf.keys()], (guest) => inviterOf.get(guest));
}

function ownLedger(home: string, federation: OpenedManifest): UsedInvite[] {
  const file = ledgerFile(dataPaths(home));
  if (!existsSync(file)) return [];
  using ledger = Ledger.read(file, federation);
  return ledger.usedInvites();
}

/** The known list where it has all that is wanted, else the next one. */
function listWith(
  known: OpenedRevocations | null,
  wanted: Pick<Revocations, 'participants' | 'invites'>,
  federation: OpenedManifest,
  owner: Identity,
): OpenedRevocations {
  const union = <Item extends string>(a: readonly Item[] = [], b: readonly Item[]) => [...new Set([...a, ...b])].sort();
  const participants = union(known?.content.participants, wanted.participants);
  const invites = union(known?.content.invites, wanted.invites);
  const more = participants.length + invites.length;
  if (more === 0) {
    throw new PrefmeshError('USAGE', {
      problem: 'there is nobody to revoke',
      hint: 'name keys with --participant or --guests-of, or invites with --invite',
    });
  }
  if (known && more === known.content.participants.length + known.content.invites.length) return known;
  const version = (known?.content.version ?? 0) + 1;
  const content = { federation: federation.hash, version, issuedAt: Date.now(), participants, invites };
  return openRevocations(signRevocations(owner, content).bytes, federation);
}
