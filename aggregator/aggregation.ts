/**
 * The arithmetic of a round over stored blobs: reads the accepted updates, applies the rule, stores the result.
 *
 * Small rounds are summed on the spot. Larger ones go to a thread of their own, because a node whose event loop stands
 * still for seconds loses its connections.
 */
import { once } from 'node:events';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { BlobStore } from '../node/storage/blobs.ts';
import { aggregateRound } from '../protocol/aggregation/aggregate.ts';
import { PrefmeshError, isPrefmeshError } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';
import type { Manifest } from '../protocol/manifest.ts';
import type { Sha256 } from '../protocol/names.ts';
import { decodeBlob } from '../protocol/tensorBlob.ts';
import type { AggregationReply, AggregationTask } from './aggregationWorker.ts';
import { LostUpdate } from './rounds.ts';
import type { AggregateEffect } from './rounds.ts';

export interface AggregationComponents {
  readonly manifest: Manifest;
  readonly blobs: BlobStore;
}

/**
 * Aggregates a round and stores the adapter that comes out, durably; returns its hash.
 *
 * @throws LostUpdate naming a blob that cannot be read any more; OUT_OF_RANGE; DISK_FULL
 */
export async function aggregateBlobs(
  { rule, factor, parent, blobs: hashes }: AggregateEffect,
  { manifest, blobs }: AggregationComponents,
  signal: AbortSignal,
): Promise<Sha256> {
  const parentBytes = await blobs.read(parent);
  let size = parentBytes.length;
  for (const hash of hashes) {
    signal.throwIfAborted();
    await readable(blobs, hash);
    size += (await blobs.size(hash)) ?? 0;
  }
  const task: AggregationTask = {
    rule,
    parameters: manifest.aggregation.parameters,
    factor,
    parent: parentBytes,
    blobs: hashes,
    updates: hashes.map((hash) => path.join(blobs.folder, hash)),
  };
  const blob = size > LIMITS.inlineAggregation.value ? await inThread(task, signal) : await here(task, hashes, blobs);
  return blobs.put(blob);
}

/** Reads an update through once, so that a damaged one is found before anything is summed. */
async function readable(blobs: BlobStore, hash: Sha256): Promise<void> {
  try {
    await blobs.verify(hash);
  } catch (error) {
    if (isPrefmeshError(error, 'BLOB_MISSING') || isPrefmeshError(error, 'BLOB_CORRUPT')) {
      throw new LostUpdate(hash, error);
    }
    throw error;
  }
}

async function here(task: AggregationTask, hashes: readonly Sha256[], blobs: BlobStore): Promise<Uint8Array> {
  const updates = [];
  for (const hash of hashes) updates.push(decodeBlob(await blobs.read(hash)));
  return aggregateRound({ ...task, parent: decodeBlob(task.parent), updates }).blob;
}

async function inThread(task: AggregationTask, signal: AbortSignal): Promise<Uint8Array> {
  // The neighbour file, with whatever extension this one has: .ts in a clone, .js in the package.
  const file = new URL(`./aggregationWorker${path.extname(import.meta.url)}`, import.meta.url);
  const worker = new Worker(file, { workerData: task });
  try {
    const [reply] = (await once(worker, 'message', { signal })) as [AggregationReply];
    if (reply.ok) return reply.blob;
    throw reply.outOfRange === null ? new Error(reply.problem) : new PrefmeshError('OUT_OF_RANGE', reply.outOfRange);
  } finally {
    await worker.terminate();
  }
}
