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
import { PrefmeshError, isPrefmeshError } from '../protocol/errors.ts';
import { LIMITS } from '../protocol/limits.ts';
import type { Manifest } from '../protocol/manifest.ts';
import type { Sha256 } from '../protocol/names.ts';
import { decodeBlob } from '../protocol/tensorBlob.ts';
import { madeOf } from './aggregationWorker.ts';
import type { AggregationReply, AggregationTask, MadeBlobs } from './aggregationWorker.ts';
import { LostUpdate } from './rounds.ts';
import type { AggregateEffect } from './rounds.ts';

export interface AggregationComponents {
  readonly manifest: Manifest;
  readonly blobs: BlobStore;
}

/** What a round gave, by the hashes of its blobs. */
export interface AggregatedBlobs {
  readonly candidate: Sha256;
  /** What the server optimiser remembers with it; null without one. */
  readonly optimizerState: Sha256 | null;
}

/**
 * Aggregates a round and stores what comes out, durably.
 *
 * @throws LostUpdate naming a blob that cannot be read any more; OUT_OF_RANGE; DISK_FULL
 */
export async function aggregateBlobs(
  { rule, factor, parent, optimizerState, blobs: hashes }: AggregateEffect,
  { manifest, blobs }: AggregationComponents,
  signal: AbortSignal,
): Promise<AggregatedBlobs> {
  const parentBytes = await blobs.read(parent);
  const state = optimizerState === null ? null : await blobs.read(optimizerState);
  let size = parentBytes.length + (state?.length ?? 0);
  for (const hash of hashes) {
    signal.throwIfAborted();
    await readable(blobs, hash);
    size += (await blobs.size(hash)) ?? 0;
  }
  const task: AggregationTask = {
    rule,
    parameters: manifest.aggregation.parameters,
    serverOptimizer: manifest.serverOptimizer,
    factor,
    parent: parentBytes,
    optimizerState: state,
    blobs: hashes,
    updates: hashes.map((hash) => path.join(blobs.folder, hash)),
  };
  const made = size > LIMITS.inlineAggregation.value ? await inThread(task, signal) : await here(task, hashes, blobs);
  return {
    candidate: await blobs.put(made.adapter),
    optimizerState: made.optimizerState && (await blobs.put(made.optimizerState)),
  };
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

async function here(task: AggregationTask, hashes: readonly Sha256[], blobs: BlobStore): Promise<MadeBlobs> {
  const updates = [];
  for (const hash of hashes) updates.push(decodeBlob(await blobs.read(hash)));
  return madeOf(task, updates);
}

async function inThread(task: AggregationTask, signal: AbortSignal): Promise<MadeBlobs> {
  // The neighbour file, with whatever extension this one has: .ts in a clone, .js in the package.
  const file = new URL(`./aggregationWorker${path.extname(import.meta.url)}`, import.meta.url);
  const worker = new Worker(file, { workerData: task });
  try {
    const [reply] = (await once(worker, 'message', { signal })) as [AggregationReply];
    if (reply.ok) return reply.made;
    throw reply.outOfRange === null ? new Error(reply.problem) : new PrefmeshError('OUT_OF_RANGE', reply.outOfRange);
  } finally {
    await worker.terminate();
  }
}
