/**
 * The whole examination of a node: its devices, its disk, the models of its federations, and how the network reaches
 * it; each finding with what to do about it. Nothing is changed, and no federation hears of it.
 *
 * The network is tried under a key made for the purpose, so that a node which runs meanwhile stays who it is.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Logger } from 'pino';
import { PrefmeshError, isPrefmeshError } from '../../protocol/errors.ts';
import { identityFromSeed } from '../../protocol/identity.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { bestDevice, detectDevices, type Detection } from '../engine/devices/detection.ts';
import { openCheckpoint } from '../model/checkpoint.ts';
import type { PeerAddress } from '../network/addresses.ts';
import { Host } from '../network/host.ts';
import type { PresetName } from '../network/presets.ts';
import { type Reach, reachOf } from '../network/reachability.ts';
import { openBaseModel } from '../participant/baseModel.ts';
import { ParticipantStore } from '../participant/store.ts';
import type { Membership } from '../participant/store.ts';
import { dataPaths } from '../storage/dataFolder.ts';
import { adapterSizes, type AdapterSizes } from './sizes.ts';

export interface ExaminationOptions {
  readonly home: string;
  readonly network: PresetName;
  readonly listen?: readonly string[] | undefined;
  /** More peers to reach: multiaddrs. */
  readonly bootstrap?: readonly string[] | undefined;
  readonly threads?: number | undefined;
  readonly log: Logger;
  readonly signal?: AbortSignal | undefined;
}

/** Something that stands in the way, and the way round it. */
export interface Problem {
  readonly code: string;
  readonly what: string;
  readonly fix: string;
}

export interface FederationFinding {
  readonly federation: string;
  readonly name: string;
  readonly model: { readonly name: string; readonly problem: Problem | null };
  /** Bytes; null where the model is not here to tell. */
  readonly adapter: AdapterSizes | null;
  /** Whether the next adapter fits through the network and on the disk; null where nothing can be said. */
  readonly fits: boolean | null;
}

/** How this node stands in the network: the best road to a peer that it needs; null where it knows none to try. */
export type Reachability = 'direct' | 'relayed' | 'unreachable' | null;

export interface Diagnosis {
  readonly ok: boolean;
  readonly home: string;
  readonly node: string;
  readonly device: string;
  readonly devices: Detection;
  /** Bytes on the disk of the data folder. */
  readonly disk: { readonly free: number; readonly needed: number };
  readonly network: PresetName;
  readonly reachability: Reachability;
  /** Where others could dial this node; empty for one that only dials out. */
  readonly listening: readonly string[];
  readonly peers: readonly ({ readonly peer: string } & Reach)[];
  readonly federations: readonly FederationFinding[];
  readonly problems: readonly Problem[];
}

/** @throws DATABASE_CORRUPT, DATABASE_NEWER, ADDRESS_INVALID; all else that is wrong is a finding */
export async function examine(options: ExaminationOptions): Promise<Diagnosis> {
  const { home, network, threads, signal } = options;
  const paths = dataPaths(home);
  const problems: Problem[] = [];
  const memberships = membershipsIn(paths.database);
  const devices = await detectDevices({ file: join(paths.cache, 'devices.json'), threads, signal });
  const models = await Promise.all(memberships.map((each) => modelOf(each, home)));
  if (memberships.length === 0) problems.push(...(await problemsOf(() => openCheckpoint('embedded'))));
  for (const { problem } of models) if (problem !== null) problems.push(problem);

  const needed = LIMITS.pullSpare.value + models.reduce((sum, { adapter }) => sum + (adapter?.disk ?? 0), 0);
  const free = await freeBytes(paths.root);
  if (free < needed) {
    const lacking = new PrefmeshError('DISK_FULL', {
      file: paths.root,
      problem: `${free} bytes are free, and the next round needs ${needed}`,
    });
    problems.push(problemOf(lacking));
  }

  const { listening, peers } = await reachPeers(memberships, options, problems);
  for (const peer of peers) if (peer.road === 'unreachable') problems.push(unreachable(peer));
  const federations = memberships.map(({ federation }, at) => {
    const { problem, adapter } = models[at]!;
    const roads = peers.filter(({ peer }) => federation.content.aggregators.some(({ id }) => id === peer));
    const through = widest(roads);
    const fits = adapter === null || through === null ? null : through >= adapter.adapter && free >= needed;
    if (adapter !== null && through !== null && through > 0 && through < adapter.adapter) {
      problems.push(problemOf(new PrefmeshError('PEER_RELAYED', { peer: roads[0]!.peer, bytes: String(through) })));
    }
    const { name } = federation.content.base;
    return { federation: federation.hash, name: federation.content.name, model: { name, problem }, adapter, fits };
  });

  return {
    ok: problems.length === 0,
    home: paths.root,
    node: process.version,
    device: bestDevice(devices).device,
    devices,
    disk: { free, needed },
    network,
    reachability: reachability(peers),
    listening,
    peers,
    federations,
    problems,
  };
}

function membershipsIn(database: string): Membership[] {
  if (!existsSync(database)) return [];
  using store = ParticipantStore.open(database, { readOnly: true });
  return store.memberships().filter(({ status }) => status !== 'left');
}

async function modelOf({ federation, model, standing }: Membership, home: string) {
  try {
    const { config } = await openBaseModel(federation.content, model ?? undefined, home);
    return { problem: null, adapter: adapterSizes(federation.content, config, standing?.round ?? 1) };
  } catch (error) {
    if (!isPrefmeshError(error)) throw error;
    return { problem: problemOf(error), adapter: null };
  }
}

/** Tries the aggregators of all federations, and the peers named besides. */
async function reachPeers(
  memberships: readonly Membership[],
  { network, listen, bootstrap = [], log, signal }: ExaminationOptions,
  problems: Problem[],
): Promise<Pick<Diagnosis, 'listening' | 'peers'>> {
  const aggregators = memberships.flatMap(({ federation }) => federation.content.aggregators);
  const entries = [...new Set([...bootstrap, ...memberships.flatMap(({ addresses }) => addresses)])];
  const targets = new Map<string, PeerAddress[]>();
  for (const { id, addresses } of aggregators) {
    const known = [
      ...addresses.map((address) => `${address}/p2p/${id}`),
      ...entries.filter((each) => each.endsWith(id)),
    ];
    targets.set(id, [...new Set([...(targets.get(id) ?? []), ...known])]);
  }
  for (const address of entries) {
    if (![...targets.keys()].some((id) => address.endsWith(id))) targets.set(address, [address]);
  }
  try {
    await using host = await Host.start(identityFromSeed(randomBytes(32)), {
      preset: network,
      role: 'participant',
      log,
      bootstrap: entries,
      ...(listen && { listen }),
    });
    const peers = [];
    for (const [peer, addresses] of targets) {
      const tried = addresses.length > 0 ? addresses : [peer]; // without an address the DHT may know one
      peers.push({ peer, ...(await reachOf(host, tried, signal ? { signal } : {})) });
    }
    return { listening: host.addresses.map((address) => address.replace(/\/p2p\/[^/]+$/, '')), peers };
  } catch (error) {
    if (!isPrefmeshError(error, 'PORT_BUSY') && !isPrefmeshError(error, 'LISTEN_FAILED')) throw error;
    problems.push(problemOf(error));
    return { listening: [], peers: [] };
  }
}

/** The most bytes that get through to any of the peers; null where there is none to try. */
function widest(reaches: readonly Reach[]): number | null {
  const widths = reaches.map((reach) => {
    if (reach.road === 'unreachable') return 0;
    return reach.road === 'direct' ? Infinity : (reach.bytes ?? Infinity);
  });
  return widths.length === 0 ? null : Math.max(...widths);
}

function reachability(reaches: readonly Reach[]): Reachability {
  const roads = new Set(reaches.map(({ road }) => road));
  return (['direct', 'relayed', 'unreachable'] as const).find((road) => roads.has(road)) ?? null;
}

function unreachable({ problem, fix }: Extract<Reach, { road: 'unreachable' }>): Problem {
  return { code: 'PEER_UNREACHABLE', what: problem, fix };
}

async function freeBytes(folder: string): Promise<number> {
  let existing = folder;
  while (!existsSync(existing)) existing = dirname(existing);
  const { bavail, bsize } = await statfs(existing);
  return bavail * bsize;
}

async function problemsOf(work: () => Promise<unknown>): Promise<Problem[]> {
  try {
    await work();
    return [];
  } catch (error) {
    if (!isPrefmeshError(error)) throw error;
    return [problemOf(error)];
  }
}

function problemOf({ code, message, fix }: PrefmeshError): Problem {
  return { code, what: message, fix };
}
