/**
 * Joining a federation on this side: read its manifest, check the pairs, record the person's consent. Nothing is sent
 * but, with a ticket, the question for the manifest; the aggregator hears of the new member when the node starts.
 */
import type { Logger } from 'pino';
import { PrefmeshError, isPrefmeshError } from '../../protocol/errors.ts';
import type { Identity } from '../../protocol/identity.ts';
import { parseInviteText } from '../../protocol/invite.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { openManifest } from '../../protocol/manifest.ts';
import type { OpenedManifest } from '../../protocol/manifest.ts';
import { findFederation } from '../network/discovery.ts';
import { FederationClient } from '../network/federation/client.ts';
import { Host } from '../network/host.ts';
import type { PresetName } from '../network/presets.ts';
import { DataFolder } from '../storage/dataFolder.ts';
import { openIdentity } from '../storage/keys.ts';
import { openBaseModel } from './baseModel.ts';
import { consentTerms } from './consent.ts';
import type { ConsentTerms } from './consent.ts';
import { readFederationFile } from './federationFile.ts';
import { openPairsFile, trainablePairs } from './pairsFile.ts';
import { ParticipantStore } from './store.ts';
import type { Membership } from './store.ts';
import { isTicketText, parseTicket } from './ticket.ts';
import type { Ticket } from './ticket.ts';

export interface JoinOptions {
  readonly home: string;
  /** A federation file, or a ticket's text. */
  readonly source: string;
  /** The file of pairs to train on. It stays where it is. */
  readonly pairs: string;
  /** The hash of the manifest that the person agrees to, or `yes` for whatever was shown. */
  readonly consent: string | undefined;
  /** An invite's text, where the ticket holds none. */
  readonly invite?: string | undefined;
  readonly model?: string | undefined;
  readonly network: PresetName;
  /** More addresses to enter the network by. */
  readonly bootstrap?: readonly string[] | undefined;
  readonly log: Logger;
  /** Shows the terms, before the consent is looked at. */
  readonly show: (terms: ConsentTerms) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Joins, or joins again with other pairs.
 *
 * @throws FEDERATION_FILE_INVALID, TICKET_INVALID, FEDERATION_NOT_FOUND, CONSENT_MISSING, CONSENT_MISMATCH,
 *   TOO_FEW_PAIRS, PAIRS_INVALID, BASE_MODEL_MISMATCH, HOME_LOCKED
 */
export async function joinFederation(options: JoinOptions): Promise<Membership> {
  const { home, source, show, model, invite, bootstrap = [] } = options;
  using folder = await DataFolder.open(home);
  const identity = await openIdentity(folder);
  const ticket = isTicketText(source) ? parseTicket(source) : undefined;
  const federation = ticket ? await fetchManifest(ticket, identity, options) : await readFederationFile(source);
  const checkpoint = await openBaseModel(federation.content, model, home);
  show(consentTerms(federation, checkpoint.config));
  checkConsent(federation, options.consent);

  const pairs = await openPairsFile(options.pairs, checkpoint);
  const { privacy, training } = federation.content;
  const { length: count } = await trainablePairs(pairs, checkpoint, training.maxLength);
  const minimum = privacy.minimumPairs;
  if (count < minimum) throw new PrefmeshError('TOO_FEW_PAIRS', { pairs: count, minimum });
  using store = ParticipantStore.open(folder.paths.database);
  store.join({
    federation,
    consent: federation.hash,
    pairs: { file: pairs.file, sha256: pairs.sha256, count },
    model: model ?? null,
    addresses: [...new Set([...(ticket?.addresses ?? []), ...bootstrap])].slice(0, LIMITS.addresses.value),
    invite: invite === undefined ? (ticket?.invite ?? null) : parseInviteText(invite),
    joinedAt: Date.now(),
  });
  return store.membership(federation.hash)!;
}

function checkConsent({ hash }: OpenedManifest, consent: JoinOptions['consent']): void {
  if (consent === undefined) throw new PrefmeshError('CONSENT_MISSING', { federation: hash });
  if (consent !== 'yes' && consent !== hash) {
    throw new PrefmeshError('CONSENT_MISMATCH', { consent, federation: hash });
  }
}

/** The manifest of a ticket: from the peers it names, else from whom the DHT gives for its id. */
async function fetchManifest(
  ticket: Ticket,
  identity: Identity,
  { network, bootstrap = [], log, signal }: JoinOptions,
): Promise<OpenedManifest> {
  const { federation } = ticket;
  const addresses = [...ticket.addresses, ...bootstrap];
  const cancel = signal ? { signal } : {};
  await using host = await Host.start(identity, { preset: network, role: 'participant', bootstrap: addresses, log });
  await host.ready(cancel);
  const client = new FederationClient(host);
  for (const address of addresses) {
    try {
      return openManifest(await client.manifest(address, federation, cancel), federation);
    } catch (error) {
      if (!isPrefmeshError(error)) throw error;
      log.debug({ address, code: error.code }, 'the manifest is not to be had there');
    }
  }
  const accept = (bytes: Uint8Array) => openManifest(bytes, federation);
  return (await findFederation(host, client, federation, { accept, ...cancel })).found;
}
