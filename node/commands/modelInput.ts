/**
 * What most commands begin with: a model, an adapter that fits it, and pairs as its tokens.
 */
import type { Device } from '../engine/device.ts';
import { openCheckpoint, type Checkpoint } from '../model/checkpoint.ts';
import { ChatTemplate } from '../model/chatTemplate.ts';
import { Tokenizer } from '../model/tokenizer.ts';
import { readPairs, type PreferencePair } from '../preferences/pairs.ts';
import { dataPaths } from '../storage/dataFolder.ts';
import { checkAdapterBase, type Adapter } from '../training/adapter.ts';
import { readPeftAdapter } from '../training/peft.ts';
import { countNotes, pairCounts } from '../training/pairCounts.ts';
import { tokenizePairs, type TokenizedPairs } from '../training/tokenization.ts';
import { chooseDevice } from './device.ts';
import type { CommonOptions } from './options.ts';
import type { Output } from './output.ts';

export interface ModelInput {
  readonly checkpoint: Checkpoint;
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate | null;
}

/** Opens the model named on the command line with its tokenizer and chat template. */
export async function openModel(model: string, home: string): Promise<ModelInput> {
  const checkpoint = await openCheckpoint(model, { home });
  const tokenizer = await Tokenizer.open(checkpoint.folder);
  return { checkpoint, tokenizer, template: await ChatTemplate.open(checkpoint.folder, tokenizer) };
}

/** Reads an adapter for a checkpoint, and says so when it does not tell what base it was trained on. */
export async function openAdapter(folder: string, checkpoint: Checkpoint, output: Output): Promise<Adapter> {
  const adapter = await readPeftAdapter(folder, checkpoint.config);
  checkAdapterBase(adapter, checkpoint, folder);
  if (adapter.baseHash === null) {
    output.human(`note: ${folder} does not name its base by hash; its shapes fit this model`);
  }
  const [trainedOn, runsOn] = [adapter.baseQuantization?.sha256, checkpoint.quantized?.hash];
  if (trainedOn !== runsOn && adapter.baseHash !== null) {
    const precision = adapter.baseQuantization?.scheme ?? 'full';
    output.human(`note: ${folder} was trained on its base at --base-precision ${precision}, not on this one`);
  }
  return adapter;
}

export interface PairsInput extends TokenizedPairs {
  /** Every pair of the file, in its order. */
  readonly read: readonly PreferencePair[];
  /** Most tokens of prompt and one answer: what was asked, or what the model can take. */
  readonly maxLength: number;
}

/** Reads a pairs file and tokenises it, saying what became of pairs that do not fit as they are. */
export async function openPairs(
  file: string,
  { checkpoint, tokenizer, template }: ModelInput,
  askedLength: number,
  output: Output,
): Promise<PairsInput> {
  const read = await readPairs(file, { template });
  const maxLength = Math.min(askedLength, checkpoint.config.maxPositions);
  const tokenized = tokenizePairs(tokenizer, read, { maxLength });
  for (const note of countNotes(pairCounts(tokenized), maxLength)) output.human(`note: ${note}`);
  return { ...tokenized, read, maxLength };
}

/** Settings of the engine that the common options decide. */
export interface EngineSettings {
  readonly device: Device;
  readonly cacheFolder: string;
  readonly threads?: number;
}

export async function engineSettings(options: CommonOptions, output: Output): Promise<EngineSettings> {
  const { threads, home } = options;
  return {
    device: await chooseDevice(options, output),
    cacheFolder: dataPaths(home).cache,
    ...(threads === undefined ? {} : { threads }),
  };
}
