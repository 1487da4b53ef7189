/**
 * `prefmesh federation create|show|invite|revoke`: the signed terms that a federation goes by, and the way into it and
 * out of it.
 */
import { randomBytes } from 'node:crypto';
import { Command } from 'commander';
import { durationValue } from '../../node/commands/duration.ts';
import { addCommonOptions, addExample, type CommonOptions } from '../../node/commands/options.ts';
import { Output } from '../../node/commands/output.ts';
import { integerValue, repeatedValue } from '../../node/commands/values.ts';
import { openCheckpoint } from '../../node/model/checkpoint.ts';
import { consentTerms, consentText } from '../../node/participant/consent.ts';
import { readFederationFile } from '../../node/participant/federationFile.ts';
import { isTicketText, parseTicket, ticketText } from '../../node/participant/ticket.ts';
import { PrefmeshError } from '../../protocol/errors.ts';
import type { Identity } from '../../protocol/identity.ts';
import { mayInvite, parseInviteText, signInvite } from '../../protocol/invite.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { OpenedManifest } from '../../protocol/manifest.ts';
import { pendingInvites, recordInvite } from '../issuedInvites.ts';
import { keptRevocations } from '../keptRevocations.ts';
import { createCommand } from './federationCreate.ts';
import { revocationsText, revokeCommand } from './federationRevoke.ts';
import { ownKey } from './ownKey.ts';

export function federationCommand(): Command {
  const command = new Command('federation')
    .description('Make, show and open federations.')
    .addCommand(createCommand())
    .addCommand(showCommand())
    .addCommand(inviteCommand())
    .addCommand(revokeCommand());
  return addExample(command, 'prefmesh federation show notes.federation');
}

function showCommand(): Command {
  const command = new Command('show')
    .description('Show the terms of a federation, and what leaves the machine of who joins it.')
    .argument('<federation>', 'a federation file, or a ticket')
    .action((source: string, options: CommonOptions) => show(source, options));
  addCommonOptions(command);
  return addExample(command, 'prefmesh federation show our-notes.federation');
}

async function show(source: string, options: CommonOptions): Promise<void> {
  const output = new Output(options);
  if (isTicketText(source)) {
    const { federation, addresses, invite } = parseTicket(source);
    output.json({ federation, addresses, invite: invite !== null });
    output.human(`Ticket for federation ${federation}`);
    for (const address of addresses) output.human(`  by way of ${address}`);
    output.human(`  ${invite === null ? 'without an invite' : 'with an invite for one'}`);
    output.human('its terms are shown before anything is agreed to: prefmesh node join TICKET --pairs FILE');
    return;
  }
  const federation = await readFederationFile(source);
  const { name } = federation.content.base;
  // Sizes need the base model's configuration; without the model the terms are shown all the same.
  const checkpoint = await openCheckpoint(name, { home: options.home }).catch(() => null);
  const terms = consentTerms(federation, checkpoint?.config ?? null);
  const kept = await keptRevocations(options.home, federation);
  const { version, issuedAt, participants, invites } = kept?.content ?? {};
  const revocations = kept && { version, issuedAt, participants, invites };
  const pending = await pendingInvites(options.home, federation.hash, Date.now());
  output.json({ ...terms, manifest: federation.content, revocations, pendingInvites: pending });
  output.human(consentText(terms));
  if (kept) output.human(revocationsText(kept));
  for (const { serial, expiresAt } of pending) {
    output.human(`invite ${serial} of this key is good until ${new Date(expiresAt).toLocaleString()}`);
  }
}

interface InviteOptions extends CommonOptions {
  readonly address?: string[];
  readonly expires: number;
  readonly count: number;
}

function inviteCommand(): Command {
  const command = new Command('invite')
    .description('Print tickets for people to join with, each good for one. Signed by the key of this data folder.')
    .argument('<federation>', 'a federation file')
    .option('--address <multiaddr>', 'a node to enter the network by; may be repeated', repeatedValue())
    .option('--expires <duration>', 'how long an invite is good', durationValue(), LIMITS.inviteLifetime.value)
    .option('--count <n>', 'how many tickets', integerValue({ min: 1, max: 1000 }), 1)
    .action((file: string, options: InviteOptions) => invite(file, options));
  addCommonOptions(command);
  return addExample(command, 'prefmesh federation invite our-notes.federation --address /ip4/203.0.113.7/tcp/4001');
}

async function invite(file: string, options: InviteOptions): Promise<void> {
  const output = new Output(options);
  const federation = await readFederationFile(file);
  const identity = await ownKey(options.home);
  const addresses = (options.address ?? addressesOf(federation)).slice(0, LIMITS.addresses.value);
  if (options.expires > LIMITS.inviteLifetime.value) {
    throw new PrefmeshError('USAGE', {
      problem: 'an invite is good for 14 days at most',
      hint: 'pass a shorter --expires; another invite can be made at any time',
    });
  }
  const asked = federation.content.admission.mode === 'invite';
  if (asked) await checkPending(options.home, federation, identity, options.count);
  for (let i = 0; i < options.count; i++) {
    const issuedAt = Date.now();
    const expiresAt = issuedAt + options.expires;
    const serial = randomBytes(16).toString('hex');
    const signed = inviteEnvelope(federation, identity, { serial, issuedAt, expiresAt });
    if (signed) await recordInvite(options.home, federation.hash, { serial, expiresAt });
    const ticket = ticketText({ federation: federation.hash, addresses, invite: signed });
    output.json({ ticket, federation: federation.hash, ...(signed && { serial, expiresAt }) });
    output.product(`${ticket}\n`);
  }
}

/** An invite's envelope, or null where the federation asks for none. Throws INVITE_NOT_VALID. */
function inviteEnvelope(
  { hash, content }: OpenedManifest,
  identity: Identity,
  terms: { serial: string; issuedAt: number; expiresAt: number },
): Uint8Array | null {
  if (content.admission.mode !== 'invite') return null;
  if (!mayInvite(identity.id, content)) throw new PrefmeshError('INVITE_NOT_VALID', { inviter: identity.id });
  return parseInviteText(signInvite(identity, { federation: hash, ...terms }));
}

/** Everyone but the owner may have as many invites out as it may have guests. Throws INVITES_EXHAUSTED. */
async function checkPending(
  home: string,
  { hash, content: { admission, owner } }: OpenedManifest,
  { id }: Identity,
  more: number,
): Promise<void> {
  if (id === owner || admission.mode !== 'invite') return;
  const pending = (await pendingInvites(home, hash, Date.now())).length;
  const most = admission.guestsPerInviter;
  if (pending + more > most) throw new PrefmeshError('INVITES_EXHAUSTED', { pending, most });
}

function addressesOf({ content }: OpenedManifest): string[] {
  return content.aggregators.flatMap(({ id, addresses }) =>
    addresses.map((address) => (address.includes('/p2p/') ? address : `${address}/p2p/${id}`)),
  );
}
