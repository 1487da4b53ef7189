/**
 * A file of preference pairs as a node keeps it: where it is, and the hash of its bytes, so that a change is noticed.
 * The pairs themselves stay in that file; they are read when they are needed and stored nowhere else.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import type { Sha256 } from '../../protocol/names.ts';
import { ChatTemplate } from '../model/chatTemplate.ts';
import type { Checkpoint } from '../model/checkpoint.ts';
import { Tokenizer } from '../model/tokenizer.ts';
import { readPairs } from '../preferences/pairs.ts';
import type { PreferencePair } from '../preferences/pairs.ts';
import { naming } from '../storage/atomicFile.ts';
import type { TokenizedPair } from '../training/policy.ts';
import { distinguishable, tokenizePairs } from '../training/tokenization.ts';

export interface PairsFile {
  /** Absolute path. */
  readonly file: string;
  /** Of the file's bytes. */
  readonly sha256: Sha256;
  readonly pairs: readonly PreferencePair[];
}

/**
 * Reads and checks a file of pairs; chat messages become text by the model's template.
 * Throws FILE_MISSING, PAIRS_INVALID, PAIRS_NONE, CHAT_TEMPLATE, TOKENIZER_INVALID.
 */
export async function openPairsFile(file: string, { folder }: Checkpoint): Promise<PairsFile> {
  const template = await ChatTemplate.open(folder, await Tokenizer.open(folder));
  const pairs = await readPairs(file, { template });
  return { file: resolve(file), sha256: await fileHash(file), pairs };
}

/** SHA-256 of a file's bytes. */
async function fileHash(file: string): Promise<Sha256> {
  const digest = createHash('sha256');
  await naming(file, async () => {
    for await (const bytes of createReadStream(file) as AsyncIterable<Buffer>) digest.update(bytes);
  });
  return digest.digest('hex') as Sha256;
}

/**
 * Pairs as the token ids of a model, cut at what the federation's terms and the model can take.
 * Throws TOKENIZER_INVALID.
 */
export async function tokenized(
  pairs: readonly PreferencePair[],
  { folder, config }: Checkpoint,
  maxLength: number,
): Promise<TokenizedPair[]> {
  const options = { maxLength: Math.min(maxLength, config.maxPositions) };
  return tokenizePairs(await Tokenizer.open(folder), pairs, options).pairs;
}

/** The pairs of a file from which something can be learnt: they fit, and their two answers differ as tokens. */
export async function trainablePairs(
  { pairs }: PairsFile,
  checkpoint: Checkpoint,
  maxLength: number,
): Promise<TokenizedPair[]> {
  return distinguishable(await tokenized(pairs, checkpoint, maxLength));
}
